"""Cheaper trainings in place of a whole one: fewer images, or smaller ones, from the start.

With `fidelity: data` or `size` a rung at step s of E epochs is a training of its own over all E
epochs, whole schedule included, that costs about as much as s epochs of a full one: on s/E of the
images, or at s/E of the pixels. Its report at step s is its last. A trial that is promoted is
trained again at the next rung; the last one is the full training.
"""

from math import sqrt
from typing import Any

from tuner.search.rules import Rules
from tuner.spec import shares
from tuner.spec.config import TrialConfig
from tuner.spec.states import TrialSource

SMALLEST = 32  # pixels of a shrunk image's shorter side; encoders divide it by 32
_MULTIPLE = 8
# Trials that are trained once and fully, whatever rungs there are.
WHOLE = frozenset({TrialSource.BASE, TrialSource.CONFIRM})


def target(rules: Rules, step: int) -> int:
    """The step that the training of a trial which has reached `step` leads to."""
    return min(
        (rung for rung in rules.rungs if rung > step), default=rules.spec.base.training.epochs
    )


def began(rules: Rules, source: str, step: int) -> int:
    """The step after which the training began that comes to `step`: 0 where there is only one."""
    if not rules.is_staged or source in WHOLE:
        return 0
    return max((rung for rung in rules.rungs if rung < step), default=0)


def staged(config: TrialConfig, rules: Rules, steps: int) -> TrialConfig:
    """The config of the training that leads to a step: the trial's own at the last one."""
    share = steps / config.training.epochs
    if share >= 1 or not rules.is_staged:
        return config
    dataset = config.dataset
    changes: dict[str, Any] = (
        {"subset": float(shares.exact(dataset.subset) * steps / config.training.epochs)}
        if rules.spec.search.fidelity == "data"
        else {"size": tuple(_shrunk(side, share) for side in dataset.size)}
    )
    return config.model_copy(update={"dataset": dataset.model_copy(update=changes)})


def _shrunk(side: int, share: float) -> int:
    """A side of an image with that share of the pixels, not below what networks can take."""
    wanted = round(side * sqrt(share) / _MULTIPLE) * _MULTIPLE
    return min(side, max(wanted, SMALLEST))
