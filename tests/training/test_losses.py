"""Losses against the formulas of their papers, written out pixel by pixel in float64."""

from itertools import product
from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tuner.configs import catalog
from tuner.training.ignore import IGNORE
from tuner.training.losses.ohem import build as ohem

CLASSES = 4
SHARES = (0.5, 0.3, 0.2, 0.0)


def sample(seed: int = 0, size: tuple[int, int] = (5, 6)) -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits and labels with ignored pixels; the last class is absent."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, CLASSES, *size, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES - 1, (2, *size), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = IGNORE
    return logits, labels


def value(name: str, logits: torch.Tensor, labels: torch.Tensor, **options: Any) -> float:
    """The loss in float64."""
    built = catalog.load("loss", name).build(CLASSES, SHARES, **options).double()
    return float(built(logits, labels))


def pixels(logits: torch.Tensor, labels: torch.Tensor) -> list[tuple[list[float], int]]:
    """Probabilities and label of every pixel that counts."""
    found = []
    for image, row, column in product(*map(range, labels.shape)):
        if labels[image, row, column] != IGNORE:
            powers = [exp(x) for x in logits[image, :, row, column].tolist()]
            chances = [power / sum(powers) for power in powers]
            found.append((chances, int(labels[image, row, column])))
    return found


def counts(
    seen: list[tuple[list[float], int]], name: int, square: bool = False
) -> tuple[float, float, float]:
    """Soft hits, soft size of the answer and true size of one class."""
    hits = sum(chances[name] for chances, label in seen if label == name)
    said = sum(chances[name] ** (2 if square else 1) for chances, _ in seen)
    return hits, said, sum(label == name for _, label in seen)


@pytest.mark.parametrize("squared", [False, True])
def test_dice(squared: bool) -> None:
    """1 - (2·hits + s) / (said + true + s), mean over the classes that occur."""
    logits, labels = sample()
    terms = []
    for name in range(CLASSES - 1):
        hits, said, true = counts(pixels(logits, labels), name, squared)
        terms.append(1 - (2 * hits + 0.5) / (said + true + 0.5))
    found = value("dice", logits, labels, smooth=0.5, squared=squared)
    assert found == pytest.approx(float(np.mean(terms)), rel=1e-12)


def test_tversky() -> None:
    """Alarms and misses have their own price, and the focus is an exponent."""
    logits, labels = sample(1)
    terms = []
    for name in range(CLASSES - 1):
        hits, said, true = counts(pixels(logits, labels), name)
        index = (hits + 1) / (hits + 0.2 * (said - hits) + 0.8 * (true - hits) + 1)
        terms.append((1 - index) ** 0.75)
    options = {"false_alarm": 0.2, "miss": 0.8, "gamma": 0.75, "smooth": 1.0}
    found = value("tversky", logits, labels, **options)
    assert found == pytest.approx(float(np.mean(terms)), rel=1e-12)


def test_focal() -> None:
    """-(1 - p)^gamma ln p, mean over valid pixels."""
    logits, labels = sample(2)
    seen = pixels(logits, labels)
    losses = [-((1 - chances[label]) ** 1.5) * log(chances[label]) for chances, label in seen]
    found = value("focal", logits, labels, gamma=1.5)
    assert found == pytest.approx(float(np.mean(losses)), rel=1e-6)


def test_mse() -> None:
    """The multi-class Brier score: squared errors summed over classes, mean over valid pixels."""
    logits, labels = sample(2)
    losses = [
        sum((chance - (name == label)) ** 2 for name, chance in enumerate(chances))
        for chances, label in pixels(logits, labels)
    ]
    assert value("mse", logits, labels) == pytest.approx(float(np.mean(losses)), rel=1e-12)


def test_mse_in_a_sum_and_with_class_weights() -> None:
    """A term as any other; the weight of a pixel is its label's."""
    logits, labels = sample(11)
    terms = (
        {"name": "cross_entropy", "weight": 1.0},
        {"name": "mse", "weight": 3.0, "class_weights": "median_frequency"},
    )
    weight = [0.3 / 0.5, 1.0, 0.3 / 0.2]
    scale = 1 / sum(w * share for w, share in zip(weight, SHARES[:3], strict=True))
    losses = [
        scale * weight[label] * sum((p - (k == label)) ** 2 for k, p in enumerate(chances))
        for chances, label in pixels(logits, labels)
    ]
    expected = value("cross_entropy", logits, labels) + 3 * float(np.mean(losses))
    assert value("sum", logits, labels, terms=terms) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.9])
@pytest.mark.parametrize("keep", [0.0, 0.25, 1.0])
def test_ohem(threshold: float, keep: float) -> None:
    """Pixels below the threshold, and at least the hardest share."""
    logits, labels = sample(3)
    chances = sorted(chances[label] for chances, label in pixels(logits, labels))
    least = int(np.ceil(keep * len(chances)))
    kept = [p for index, p in enumerate(chances) if index < least or p <= threshold]
    found = value("ohem", logits, labels, threshold=threshold, keep=keep)
    assert found == pytest.approx(float(np.mean([-log(p) for p in kept])), rel=1e-12)


@pytest.mark.parametrize("percent", range(1, 100))
def test_ohem_keeps_exactly_its_share(percent: int) -> None:
    """Of a hundred pixels, .07 are seven; the eighth has no say."""
    logits = torch.zeros(1, 2, 10, 10)
    logits[0, 0] = torch.arange(100).view(10, 10) / 10
    built: Any = ohem(2, (0.5, 0.5), threshold=1e-9, keep=percent / 100)
    logits.requires_grad_()
    built(logits, torch.ones(1, 10, 10, dtype=torch.int64)).backward()
    assert logits.grad is not None
    assert int((logits.grad[0, 0] != 0).sum()) == percent


def test_ohem_mines_for_the_main_output_only() -> None:
    """The auxiliary output learns from every pixel, by plain cross-entropy."""
    logits, labels = sample(3)
    auxiliary: Any = ohem(CLASSES, SHARES).double().aux
    plain = functional.cross_entropy(logits, labels, ignore_index=IGNORE)
    torch.testing.assert_close(auxiliary(logits, labels), plain)


def jaccard_loss(wrong: set[int], true: set[int]) -> float:
    """1 - Jaccard of an answer that is wrong about these pixels."""
    return 1 - len(true - wrong) / len(true | wrong)


def lovasz_of(seen: list[tuple[list[float], int]]) -> float:
    """The Lovász extension by its definition: Σ error × growth of the Jaccard loss."""
    terms = []
    for name in sorted({label for _, label in seen}):
        true = {index for index, (_, label) in enumerate(seen) if label == name}
        errors = [abs((label == name) - chances[name]) for chances, label in seen]
        order = [int(index) for index in np.argsort(-np.array(errors), kind="stable")]
        steps = [jaccard_loss(set(order[:cut]), true) for cut in range(len(order) + 1)]
        growth = np.diff(steps)
        terms.append(sum(errors[index] * step for index, step in zip(order, growth, strict=True)))
    return float(np.mean(terms))


def test_lovasz() -> None:
    """The batch as one set of pixels, mean over the classes that occur."""
    logits, labels = sample(4)
    found = value("lovasz", logits, labels)
    assert found == pytest.approx(lovasz_of(pixels(logits, labels)), rel=1e-12)


def test_lovasz_per_image() -> None:
    """Mean over the images that have a valid pixel."""
    logits, labels = sample(5)
    logits, labels = torch.cat([logits, logits[:1]]), torch.cat([labels, labels[:1]])
    labels[2] = IGNORE
    each = [lovasz_of(pixels(logits[at : at + 1], labels[at : at + 1])) for at in range(2)]
    found = value("lovasz", logits, labels, per_image=True)
    assert found == pytest.approx(float(np.mean(each)), rel=1e-12)


def test_lovasz_of_a_hard_answer_is_the_jaccard_loss() -> None:
    """Where probabilities are 0 and 1, the surrogate equals what it stands for."""
    labels = torch.tensor([[[0, 0, 1, 1, IGNORE]]])
    said = torch.tensor([[[0, 1, 1, 1, 0]]])
    logits = functional.one_hot(said, 2).permute(0, 3, 1, 2).double() * 200
    found = catalog.load("loss", "lovasz").build(2, (0.5, 0.5))(logits, labels)
    assert float(found) == pytest.approx((1 / 2 + 1 / 3) / 2)


def information(truth: np.ndarray, said: np.ndarray, whole: np.ndarray, radius: int) -> float:
    """Half the log-determinant per cell of one class of one image, shifted to 0, by loops."""
    height, width = truth.shape[0] - radius + 1, truth.shape[1] - radius + 1
    corners = [
        (row, column)
        for row, column in product(range(height), range(width))
        if whole[row : row + radius, column : column + radius].all()
    ]
    y, p = (
        np.array([of[r : r + radius, c : c + radius].ravel() for r, c in corners]).T
        for of in (truth, said)
    )
    y, p = (of - of.mean(1, keepdims=True) for of in (y, p))
    spare = 5e-4 * np.eye(radius**2)
    left = y @ y.T - y @ p.T @ np.linalg.inv(p @ p.T + spare) @ p @ y.T
    return float(np.linalg.slogdet((left + spare) / 5e-4)[1] / 2 / radius**2)


def test_rmi() -> None:
    """Without pooling: the published bound over whole neighbourhoods, summed over classes."""
    logits, labels = sample(6, (12, 13))
    chances = logits.sigmoid().numpy()
    valid = (labels != IGNORE).numpy()
    terms = [
        information((labels[image] == name).double().numpy(), chances[image, name], valid[image], 2)
        for image, name in product(range(2), range(CLASSES))
    ]
    found = value("rmi", logits, labels, radius=2, downsample=1, entropy_share=0.0)
    assert found == pytest.approx(sum(terms) / 2, rel=1e-6)


def test_rmi_pools_over_valid_pixels() -> None:
    """A cell is the mean of its valid pixels, so that a void half of each cell changes nothing."""
    logits, labels = sample(7, (6, 6))
    labels = labels.masked_fill(labels == IGNORE, 0)
    options = {"radius": 2, "entropy_share": 0.0}
    fine = value("rmi", logits, labels, downsample=1, **options)
    wide = torch.stack([logits, torch.randn_like(logits)], dim=4).flatten(3)
    tall = wide.repeat_interleave(2, dim=2)
    void = torch.stack([labels, torch.full_like(labels, IGNORE)], dim=3).flatten(2)
    coarse = value("rmi", tall, void.repeat_interleave(2, dim=1), downsample=2, **options)
    assert coarse == pytest.approx(fine, rel=1e-9)


def test_rmi_adds_a_binary_cross_entropy() -> None:
    """Summed over classes, mean over valid pixels."""
    logits, labels = sample(8)
    total = 0.0
    for image, name, row, column in product(*map(range, logits.shape)):
        if labels[image, row, column] != IGNORE:
            chance = 1 / (1 + exp(-float(logits[image, name, row, column])))
            total -= log(chance if labels[image, row, column] == name else 1 - chance)
    expected = total / int((labels != IGNORE).sum())
    assert value("rmi", logits, labels, entropy_share=1.0) == pytest.approx(expected)


def test_a_sum_adds_its_terms() -> None:
    """Weights multiply, and options reach the loss that they belong to."""
    logits, labels = sample(9)
    terms = (
        {"name": "focal", "weight": 0.5, "gamma": 1.0},
        {"name": "dice", "weight": 2.0, "smooth": 0.0},
    )
    parts = (
        0.5 * value("focal", logits, labels, gamma=1.0),
        2.0 * value("dice", logits, labels, smooth=0.0),
    )
    assert value("sum", logits, labels, terms=terms) == pytest.approx(sum(parts))


def test_the_auxiliary_loss_of_a_sum_mines_nothing() -> None:
    """Each term that has its own loss for auxiliary outputs brings it along."""
    logits, labels = sample(10)
    terms = ({"name": "ohem", "weight": 1.0}, {"name": "dice", "weight": 1.0})
    built: Any = catalog.load("loss", "sum").build(CLASSES, SHARES, terms=terms).double()
    expected = value("cross_entropy", logits, labels) + value("dice", logits, labels)
    assert float(built.aux(logits, labels)) == pytest.approx(expected)
