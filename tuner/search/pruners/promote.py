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
from tuner.spec.messages import Action, Verdict
from tuner.spec.states import TrialState


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
    others = [peer for peer in peers if peer.number != trial.number]
    order = rungs.standing([*others, trial], step, setting)
    go_on = rungs.places(len(order), eta=eta, closing=setting.closing)
    if trial in order[:go_on]:
        return Verdict()
    return Verdict(action=Action.PAUSE, reason=_reason(trial, order, go_on, setting, eta))


def promote(
    courses: Sequence[Course],
    setting: Setting,
    *,
    eta: int = 3,
    min_step: int | None = None,
    merge: bool = True,
) -> tuple[int, str] | None:
    """Number of the paused trial to go on first, and why; None while there is none."""
    for step in reversed(rungs.ladder(setting, eta=eta, min_step=min_step, merge=merge)):
        order = rungs.standing(courses, step, setting)
        go_on = rungs.places(len(order), eta=eta, closing=setting.closing)
        for trial in order[:go_on]:
            if trial.state is TrialState.PAUSED and trial.step == step:
                words = rungs.told(trial, step, setting)
                return trial.number, f"promoted: {words} is among the best {go_on} of {len(order)}"
    return None


def _reason(trial: Course, order: Sequence[Course], go_on: int, setting: Setting, eta: int) -> str:
    step = trial.step
    words = rungs.told(trial, step, setting)
    if go_on == 0:
        return f"{words} waits for others to compare with: {len(order)} of {eta} trials are there"
    bar = order[go_on - 1].values[step]
    return (
        f"{words} is {rungs.side(setting)} the best {rungs.share(eta)} of {len(order)} trials "
        f"({bar:.3f})"
    )
