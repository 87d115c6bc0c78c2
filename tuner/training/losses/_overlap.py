"""Soft counts of hits and misses per class, for losses that score regions as a whole."""

from dataclasses import dataclass

from torch import Tensor

from tuner.training.ignore import IGNORE, mean_where, one_hot


@dataclass(frozen=True, slots=True)
class Overlap:
    """Per class, over the valid pixels of a batch: K numbers each."""

    hits: Tensor  # probability given to the right class: a soft count of true positives
    said: Tensor  # probability given to the class anywhere
    true: Tensor  # pixels of the class

    def mean_over_present(self, losses: Tensor) -> Tensor:
        """Mean of K losses over the classes that occur; zero with a graph where none does.

        A class without a pixel has no region to score: counting it as right would shrink the
        loss with the number of classes, counting it as wrong would punish a correct silence.
        """
        return mean_where(losses, self.true > 0)


def overlap(logits: Tensor, labels: Tensor, *, squared: bool = False) -> Overlap:
    """Counts of N×K×H×W logits and N×H×W labels; `squared` sums p² (Milletari et al. 2016)."""
    # N×K×H×W; an ignored pixel says nothing and is nothing.
    probabilities = logits.softmax(1).masked_fill((labels == IGNORE).unsqueeze(1), 0)
    truth = one_hot(labels, logits.shape[1])  # N×K×H×W booleans
    said = probabilities.square() if squared else probabilities
    return Overlap(
        hits=probabilities.masked_fill(~truth, 0).sum((0, 2, 3)),
        said=said.sum((0, 2, 3)),
        true=truth.sum((0, 2, 3)).to(logits.dtype),
    )
