"""Asynchronous successive halving (Li et al. 2020), in the form that pauses and promotes.

At a rung a trial goes on in place if it is among the best 1/eta of all that have reached the rung
so far; else it is paused with its checkpoint. A free worker takes the best paused trial that has
become promotable since, from the highest rung down, before a new configuration. When no new one
will be drawn, the leader of each rung goes on too: a study does not end with its best unfinished.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.course import Course, Setting
from tuner.search.field import as_field
from tuner.search.rungs import Standing
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
    """Judge at a rung: go on, or pause. What is no number never comes back: it is pruned."""
    step = trial.step
    if step not in rungs.ladder(setting, eta=eta, min_step=min_step, merge=merge):
        return Verdict()
    if not isfinite(trial.values[step]):
        reason = f"{setting.objective.metric} at epoch {step} is not a number"
        return Verdict(action=Action.PRUNE, reason=reason)
    found = rungs.standing(trial, peers, setting)
    go_on = rungs.places(found.reached, eta=eta, closing=setting.closing)
    if found.place < go_on:
        return Verdict()
    return Verdict(action=Action.PAUSE, reason=_reason(trial, found, go_on, setting, eta))


def promote(
    courses: Sequence[Course],
    setting: Setting,
    *,
    eta: int = 3,
    min_step: int | None = None,
    merge: bool = True,
) -> tuple[int, str] | None:
    """Number of the paused trial to go on first, and why; None while there is none."""
    field = as_field(courses)
    for step in reversed(rungs.ladder(setting, eta=eta, min_step=min_step, merge=merge)):
        found = rungs.paused_leader(field, step, setting, eta=eta)
        if found is not None:
            number, go_on = found
            words = rungs.told(field.of(number), step, setting)
            return number, f"promoted: {words} is among the best {go_on} of those there"
    return None


def _reason(trial: Course, found: Standing, go_on: int, setting: Setting, eta: int) -> str:
    words = rungs.told(trial, trial.step, setting)
    if go_on == 0:
        there = f"{found.reached} of {eta} trials are there"
        return f"{words} waits for others to compare with: {there}"
    bar = setting.objective.key(float(found.keys[go_on - 1]))  # the key of a key is the value
    return (
        f"{words} is {rungs.side(setting)} the best {rungs.share(eta)} of {found.reached} trials "
        f"({bar:.3f})"
    )
