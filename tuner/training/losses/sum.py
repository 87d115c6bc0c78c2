"""A weighted sum of other losses: cross-entropy for the gradient, an overlap for the metric.

Each term names a loss and its options, and a `weight`; a search reaches into them by position:
`loss.terms.1.weight`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from tuner.configs import catalog
from tuner.training.network.lessons import Lessons, Taught

TERMS = "terms"


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    terms: Annotated[
        tuple[dict[str, bool | int | float | str | None], ...], Field(min_length=1)
    ] = (
        {"name": "cross_entropy", "weight": 1.0},
        {"name": "dice", "weight": 1.0},
    ),
) -> nn.Module:
    """Σ weight × loss; the options of a term are those of the loss that it names."""
    losses, weights = [], []
    for term in terms:
        options = {key: value for key, value in term.items() if key not in {"name", "weight"}}
        losses.append(_loss(str(term["name"]), classes, class_shares, options))
        weights.append(float(term.get("weight", 1.0) or 0.0))
    return _Sum(losses, weights)


def _loss(
    name: str, classes: int, class_shares: Sequence[float], options: Mapping[str, Any]
) -> nn.Module:
    built = catalog.load("loss", name).build(classes, class_shares, **options)
    assert isinstance(built, nn.Module)
    return built


class _Sum(nn.Module):
    def __init__(self, losses: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(losses)
        self.weights = tuple(weights)
        if any(hasattr(loss, "aux") for loss in losses):
            self.aux = _Sum([getattr(loss, "aux", loss) for loss in losses], weights)

    def forward(self, logits: Tensor, labels: Tensor, *lessons: Lessons) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64; terms that have a teacher hear it."""
        values = [
            loss(logits, labels, *lessons) if isinstance(loss, Taught) else loss(logits, labels)
            for loss in self.losses
        ]
        weighted = [weight * value for weight, value in zip(self.weights, values, strict=True)]
        return torch.stack(weighted).sum()
