"""Asynchronous successive halving (Li et al. 2020), in the form that stops and never waits.

At each rung a trial goes on if it is among the best 1/eta of all that have reached the rung so
far. For trials without checkpoints; `promote` is the form that loses nobody.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.course import Course, Setting, rivals
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
    others = rivals(trial, peers, step)
    value, reached = trial.values[step], len(others) + 1
    if reached < eta:
        return Verdict()
    objective = setting.objective
    kept = sorted([*others, *([value] if isfinite(value) else [])], key=objective.key)
    bar = kept[rungs.places(reached, eta=eta) - 1]
    if isfinite(value) and not objective.is_better(bar, value):
        return Verdict()
    reason = (
        f"{rungs.told(trial, step, setting)} is {rungs.side(setting)} the best {rungs.share(eta)} "
        f"of {reached} trials ({bar:.3f})"
    )
    return Verdict(action=Action.PRUNE, reason=reason)
