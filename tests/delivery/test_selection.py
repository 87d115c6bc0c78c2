"""Greedy selection with replacement: against brute force, and never worse than the single best."""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.delivery.selection import Candidates, held_out, select, value_of
from tuner.spec.metrics import derive
from tuner.spec.study import Objective

CLASSES = ("sky", "road", "car")
MIOU = Objective(metric="miou")


def random(seed: int, *, models: int = 3, pixels: int = 30, skill: float = 1.0) -> Candidates:
    """Models that are right more often than not, each in its own way."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 3, pixels)
    scores = numbers.normal(size=(models, pixels, 3)) * 1.5
    scores[:, np.arange(pixels), labels] += skill
    raised = np.exp(scores)
    shares = raised / raised.sum(axis=2, keepdims=True)
    images = np.sort(numbers.integers(0, 4, pixels)).astype(np.int32)
    return Candidates(shares.astype(np.float16), labels.astype(np.uint8), images, np.ones(3))


def miou(candidates: Candidates, picks: Sequence[int]) -> float:
    """The metric of a mean, pixel by pixel."""
    mean = candidates.probabilities[list(picks)].astype(np.float32).mean(axis=0)
    counts = np.zeros((3, 3), dtype=int)
    for label, scores in zip(candidates.labels, mean, strict=True):
        counts[label, int(np.argmax(scores))] += 1
    return derive(counts.tolist(), CLASSES)["miou"]


@pytest.mark.parametrize("seed", range(8))
def test_two_picks_are_the_best_that_brute_force_finds_from_the_best_start(seed: int) -> None:
    """No multiset of up to two models that holds the best single one is better."""
    candidates = random(seed)
    found = select(candidates, MIOU, CLASSES, most=2)

    best = max(range(3), key=lambda index: miou(candidates, [index]))
    every = [
        miou(candidates, picks)
        for length in (1, 2)
        for picks in combinations_with_replacement(range(3), length)
        if best in picks
    ]
    assert found.value == pytest.approx(max(every))
    assert found.value == pytest.approx(miou(candidates, found.picks))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    models=st.integers(1, 6),
    direction=st.sampled_from(["maximize", "minimize"]),
    metric=st.sampled_from(["miou", "iou.worst", "pixel_accuracy", "iou.car", "recall.worst"]),
)
def test_it_is_never_worse_than_the_single_best(
    seed: int, models: int, direction: str, metric: str
) -> None:
    """Whatever the metric and its direction, on the pixels that it selects by."""
    candidates = random(seed, models=models)
    goal = Objective.model_validate({"metric": metric, "direction": direction})

    found = select(candidates, goal, CLASSES)

    singles = [value_of(candidates, [index], metric, CLASSES) for index in range(models)]
    best = min(goal.key(value) for value in singles)
    assert goal.key(found.value) <= best
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found == select(candidates, goal, CLASSES)


def test_no_single_addition_would_help_any_more() -> None:
    """It ends at a local optimum, unless it ends at the most picks."""
    candidates = random(3, models=5, pixels=200)
    found = select(candidates, MIOU, CLASSES)
    assert 1 < len(found.picks) < 50
    for index in range(5):
        longer = value_of(candidates, [*found.picks, index], "miou", CLASSES)
        assert longer <= found.value


def test_a_model_that_only_copies_the_best_adds_nothing() -> None:
    """Equal models leave the earliest alone."""
    one = random(1, models=1)
    same = Candidates(np.repeat(one.probabilities, 3, axis=0), one.labels, one.images, np.ones(3))
    assert select(same, MIOU, CLASSES).picks == (0,)


def test_models_that_err_apart_are_picked_together() -> None:
    """Two models, each sure where the other is wrong and unsure, are better than either."""
    labels = np.array([0, 0, 1, 1], dtype=np.uint8)
    first = [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.1, 0.9, 0], [0.6, 0.4, 0]]
    second = [[0.4, 0.6, 0], [0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]]
    shares = np.array([first, second], dtype=np.float16)
    candidates = Candidates(shares, labels, np.zeros(4, np.int32), np.ones(3))
    found = select(candidates, MIOU, CLASSES)
    assert (sorted(found.picks), found.value) == ([0, 1], 1.0)
    assert found.weights == {0: 0.5, 1: 0.5}


def test_what_pixels_stand_for_counts() -> None:
    """A pixel that stands for ten of its class weighs as much as ten."""
    one = random(5, models=1)
    weighted = Candidates(one.probabilities, one.labels, one.images, np.array([10.0, 1, 1]))
    keep = np.concatenate(
        [np.repeat(np.flatnonzero(one.labels == 0), 10), np.flatnonzero(one.labels)]
    )
    repeated = Candidates(
        one.probabilities[:, keep], one.labels[keep], one.images[keep], np.ones(3)
    )
    assert value_of(weighted, [0], "miou", CLASSES) == value_of(repeated, [0], "miou", CLASSES)


def test_the_held_out_gain_is_that_of_other_images() -> None:
    """Members are chosen on one half of the images and scored on the other, both ways."""
    candidates = random(2, models=4, pixels=400)
    found = held_out(candidates, MIOU, CLASSES)
    assert found is not None
    even = np.arange(4) % 2 == 0
    expected = []
    for chosen in (even, ~even):
        seen, unseen = candidates.of_images(chosen), candidates.of_images(~chosen)
        picks = select(seen, MIOU, CLASSES).picks
        singles = [miou(seen, [index]) for index in range(4)]
        best = singles.index(max(singles))
        expected.append((miou(unseen, picks), miou(unseen, [best])))
    assert found == pytest.approx(tuple(np.mean(expected, axis=0)))


def test_one_image_has_no_other_half() -> None:
    """Where a half is empty nothing is said of it."""
    one = random(2)
    single = Candidates(one.probabilities, one.labels, np.zeros(30, np.int32), np.ones(3))
    assert held_out(single, MIOU, CLASSES) is None
