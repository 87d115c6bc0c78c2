"""The confusion matrix, against a count by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training import samples
from tuner.errors import Diverged
from tuner.training import evaluate
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.ignore import IGNORE
from tuner.training.network import model
from tuner.training.ranks import Rank


@given(seed=st.integers(0, 10_000), height=st.integers(1, 9), width=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_counts_equal_brute_force(seed: int, height: int, width: int) -> None:
    """Every valid pixel counts once, at its label and prediction; ignored pixels nowhere."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 3, height, width, generator=generator)
    label = torch.randint(0, 4, (height, width), generator=generator).to(torch.uint8)
    label[label == 3] = IGNORE
    expected = np.zeros((3, 3), dtype=int)
    for row in range(height):
        for column in range(width):
            if label[row, column] != IGNORE:
                best = int(np.argmax(logits[0, :, row, column].numpy()))
                expected[int(label[row, column]), best] += 1
    assert evaluate.count(logits, label, 3).view(3, 3).tolist() == expected.tolist()


def test_logits_are_resized_to_the_label() -> None:
    """A label larger than the logits counts all of its own pixels."""
    logits = torch.randn(1, 3, 4, 5)
    label = torch.ones(40, 50, dtype=torch.uint8)
    assert int(evaluate.count(logits, label, 3).sum()) == 2000


def test_batch_size_has_no_say(scenes: Data) -> None:
    """The matrix is the same whether images come one by one or together."""
    built = model.build(samples.config(), mean=scenes.train.mean, std=scenes.train.std)
    matrices = [
        evaluate.confusion(
            built, scenes.val, context=DeviceContext(), determinism="exact", batch_size=size
        )
        for size in (1, 2)
    ]
    assert matrices[0] == matrices[1]
    valid = sum(int((scenes.val.label(i) != IGNORE).sum()) for i in range(len(scenes.val)))
    assert sum(map(sum, matrices[0])) == valid
    assert built.training


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_share_the_split(scenes: Data, count: int) -> None:
    """The sum of what they count is the matrix of one process, also where one has no image."""
    built = model.build(samples.config(), mean=scenes.val.mean, std=scenes.val.std)

    def counted(rank: Rank) -> np.ndarray:
        found = evaluate.confusion(
            built,
            scenes.val,
            context=DeviceContext(),
            determinism="exact",
            batch_size=1,
            rank=rank,
        )
        return np.array(found, dtype=np.int64)

    total = sum(counted(Rank(index, count)) for index in range(count))
    assert np.array_equal(total, counted(Rank()))


def test_a_model_that_is_no_longer_finite_is_not_scored(scenes: Data) -> None:
    """The class that wins among NaNs is nobody's prediction."""
    built = model.build(samples.config(), mean=scenes.train.mean, std=scenes.train.std)
    torch.nn.init.constant_(next(built.decoder.parameters()), float("nan"))
    with pytest.raises(Diverged, match="validation split"):
        evaluate.confusion(
            built, scenes.val, context=DeviceContext(), determinism="exact", batch_size=2
        )
