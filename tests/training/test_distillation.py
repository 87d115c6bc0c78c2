"""Losses that look at a teacher, against their formulas written out."""

from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tuner.configs import catalog
from tuner.training.ignore import IGNORE
from tuner.training.network.lessons import Lesson

SHARES = (0.5, 0.3, 0.2)


def value(loss: str, logits: Tensor, labels: Tensor, lesson: Lesson, **options: Any) -> float:
    """The loss in float64."""
    built = catalog.load("loss", loss).build(3, SHARES, teacher="t", **options)
    return float(built.double()(logits, labels, {"t": lesson}))


def sample(seed: int) -> tuple[Tensor, Tensor, Lesson]:
    """Logits, labels with ignored pixels, and a teacher's logits, 2×3×4×5."""
    made = torch.Generator().manual_seed(seed)
    logits, theirs = torch.randn(2, 2, 3, 4, 5, generator=made, dtype=torch.float64) * 3
    labels = torch.randint(0, 3, (2, 4, 5), generator=made)
    labels[0, :2, 3] = IGNORE
    return logits, labels, Lesson(theirs)


def softened(numbers: list[float], temperature: float) -> list[float]:
    """A softmax at a temperature, number by number."""
    powers = [exp(each / temperature) for each in numbers]
    return [each / sum(powers) for each in powers]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_per_pixel(temperature: float) -> None:
    """T² × the divergence of softened distributions over classes, a mean over valid pixels."""
    logits, labels, lesson = sample(0)
    total, count = 0.0, 0
    for image, row, column in np.ndindex(2, 4, 5):
        if labels[image, row, column] == IGNORE:
            continue
        own = softened(logits[image, :, row, column].tolist(), temperature)
        right = softened(lesson.logits[image, :, row, column].tolist(), temperature)
        total += sum(p * log(p / q) for p, q in zip(right, own, strict=True))
        count += 1
    found = value("distill", logits, labels, lesson, temperature=temperature)
    assert found == pytest.approx(temperature**2 * total / count)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_per_channel(temperature: float) -> None:
    """Equation 4 of Shu et al.: T²/C × Σ over channels and positions of φ(T)·log(φ(T)/φ(S))."""
    logits, labels, lesson = sample(1)
    total = 0.0
    for image in range(2):
        valid = (labels[image] != IGNORE).numpy()
        for channel in range(3):
            own = np.exp(logits[image, channel].numpy()[valid] / temperature)
            right = np.exp(lesson.logits[image, channel].numpy()[valid] / temperature)
            own, right = own / own.sum(), right / right.sum()
            total += float((right * np.log(right / own)).sum())
    found = value("distill", logits, labels, lesson, kind="channel", temperature=temperature)
    assert found == pytest.approx(temperature**2 * total / 3 / 2)


@pytest.mark.parametrize("kind", ["pixel", "channel"])
def test_to_answer_as_the_teacher_costs_nothing(kind: str) -> None:
    """The divergence of a distribution from itself is zero."""
    logits, labels, _ = sample(2)
    assert value("distill", logits, labels, Lesson(logits), kind=kind) == pytest.approx(0)


def test_an_image_without_a_valid_pixel_does_not_count() -> None:
    """Channel by channel the mean goes over images that say something."""
    logits, labels, lesson = sample(3)
    labels[1] = IGNORE
    alone = Lesson(lesson.logits[:1])
    assert value("distill", logits, labels, lesson, kind="channel") == pytest.approx(
        value("distill", logits[:1], labels[:1], alone, kind="channel")
    )


def test_features_are_projected_and_compared() -> None:
    """A mean over maps, each a mean over channels and valid positions of squared differences."""
    made = torch.Generator().manual_seed(4)
    own = [torch.randn(1, n, 2, 2, generator=made) for n in (2, 3)]
    theirs = [torch.randn(1, n, 2, 2, generator=made) for n in (4, 5)]
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    labels[0, 1, 1] = IGNORE
    built = catalog.load("loss", "distill_features").build(3, SHARES, teacher="t", stages=2)
    built.meet((2, 3), (4, 5))
    expected = []
    for layer, ours, right in zip(built.projections, own, theirs, strict=True):
        kernel = layer.weight.detach()[:, :, 0, 0].numpy()
        mapped = np.einsum("oc,chw->ohw", kernel, ours[0].numpy())
        squares = ((mapped - right[0].numpy()) ** 2).mean(axis=0)
        expected.append(squares.flatten()[:3].mean())
    logits = torch.zeros(1, 3, 2, 2)
    found = built(logits, labels, {"t": Lesson(logits, theirs, own)})
    assert float(found.detach()) == pytest.approx(float(np.mean(expected)), rel=1e-5)


def test_features_of_another_stride_are_resized_to_the_teachers() -> None:
    """A network that decodes at stride 16 may learn from one at stride 8."""
    built = catalog.load("loss", "distill_features").build(3, SHARES, teacher="t")
    built.meet((2,), (2,))
    built.projections[0].weight.data = torch.eye(2).view(2, 2, 1, 1)
    own, theirs = torch.ones(1, 2, 2, 2), torch.full((1, 2, 4, 4), 3.0)
    logits, labels = torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64)
    assert float(built(logits, labels, {"t": Lesson(logits, [theirs], [own])}).detach()) == 4


def test_features_of_half_precision_are_compared_in_float32() -> None:
    """As the fast mode on CUDA gives them."""
    built = catalog.load("loss", "distill_features").build(3, SHARES, teacher="t")
    built.meet((2,), (4,))
    own = torch.randn(1, 2, 2, 2).bfloat16()
    theirs = torch.randn(1, 4, 2, 2).bfloat16()
    logits, labels = torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64)
    found = built(logits, labels, {"t": Lesson(logits, [theirs], [own])})
    assert found.dtype == torch.float32


def test_a_sum_lets_each_term_hear_its_own_teacher() -> None:
    """Terms without a teacher see logits and labels alone; auxiliary outputs get the same."""
    logits, labels, lesson = sample(5)
    other = Lesson(lesson.logits.flip(1))
    terms = (
        {"name": "cross_entropy", "weight": 1.0},
        {"name": "distill", "weight": 2.0, "teacher": "a"},
        {"name": "distill", "weight": 3.0, "teacher": "b", "kind": "channel"},
    )
    built = catalog.load("loss", "sum").build(3, SHARES, terms=terms).double()
    plain = catalog.load("loss", "cross_entropy").build(3, SHARES).double()
    expected = (
        float(plain(logits, labels))
        + 2 * value("distill", logits, labels, lesson)
        + 3 * value("distill", logits, labels, other, kind="channel")
    )
    assert float(built(logits, labels, {"a": lesson, "b": other})) == pytest.approx(expected)
