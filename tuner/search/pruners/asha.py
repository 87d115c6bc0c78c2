"""Asynchronous successive halving (Li et al. 2020), in the form that stops and never waits.

At each rung a trial goes on if it is among the best 1/eta of all that have reached the rung so
far. For trials without checkpoints; `promote` is the form that loses nobody.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.course import Course, Setting
from tuner.spec.messages import Action, Verdict


def judged_steps(
    setting: Setting, *, eta: int = 3, min_step: int | None = None, merge: bool = True
) -> frozenset[int] | None:
    """The rungs."""
    return frozenset(rungs.ladder(setting, eta=eta, min_step=min_step))


def should_prune(
    trial: Course,
    peers: Sequence[Course],
    setting: Setting,
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    merge: bool = True,
) -> Verdict:
    """Judge at a rung; with fewer than eta trials there, go on."""
    step = trial.step
    if step not in rungs.ladder(setting, eta=eta, min_step=min_step, merge=merge):
        return Verdict()
    value = trial.values[step]
    if not isfinite(value):
        reason = f"{setting.objective.metric} at epoch {step} is not a number"
        return Verdict(action=Action.PRUNE, reason=reason)
    found = rungs.standing(trial, peers, setting)
    if found.reached < eta:
        return Verdict()
    bar = setting.objective.key(float(found.keys[rungs.places(found.reached, eta=eta) - 1]))
    if not setting.objective.is_better(bar, value):
        return Verdict()
    reason = (
        f"{rungs.told(trial, step, setting)} is {rungs.side(setting)} the best {rungs.share(eta)} "
        f"of {found.reached} trials ({bar:.3f})"
    )
    return Verdict(action=Action.PRUNE, reason=reason)
