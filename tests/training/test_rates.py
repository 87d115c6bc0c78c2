"""The learning rate of every step: scaling, warm-up, horizon."""

import pytest

from tests.training.samples import config
from tuner.training import rates


@pytest.mark.parametrize(
    ("optimizer", "batch", "factor"), [("sgd", 16, 2.0), ("sgd", 4, 0.5), ("adamw", 32, 2.0)]
)
def test_rate_is_per_eight_images(optimizer: str, batch: int, factor: float) -> None:
    """SGD scales linearly with the batch, the Adam family with its square root."""
    drawn = {"optimizer.name": optimizer, "optimizer.lr": 0.01, "training.batch_size": batch}
    assert rates.peak(config(drawn)) == pytest.approx(0.01 * factor)


def test_warm_up_rises_linearly_to_the_schedule() -> None:
    """A tenth of 100 steps is a ramp of ten, and after it the schedule stands alone."""
    drawn = {"schedule.name": "constant", "schedule.warmup": 0.1, "training.batch_size": 8}
    rate = rates.course(config(drawn), 100)
    values = [rate(step) for step in range(100)]
    assert values[:11] == pytest.approx([0.01 * (step + 1) / 11 for step in range(11)])
    assert set(values[10:]) == {0.01}


def test_poly_follows_the_paper() -> None:
    """(1 - step/total)^power over the whole budget."""
    drawn = {"schedule.power": 0.9, "schedule.warmup": 0.0, "training.batch_size": 8}
    rate = rates.course(config(drawn), 1000)
    assert rate(250) == pytest.approx(0.01 * 0.75**0.9)


def test_cosine_ends_at_its_floor() -> None:
    """Half the way down it is halfway between the full rate and the floor."""
    drawn = {"schedule.name": "cosine", "schedule.floor": 0.1, "schedule.warmup": 0.0}
    rate = rates.course(config({**drawn, "training.batch_size": 8}), 1000)
    assert rate(500) == pytest.approx(0.01 * 0.55)
    assert rate(1000) == pytest.approx(0.001)
