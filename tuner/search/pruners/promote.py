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
    setting: Setting,
    *,
    eta: int = 3,
    min_step: int | None = None,
    merge: bool = True,
    grow: bool = False,
    cost_aware: bool = False,
) -> frozenset[int] | None:
    """The rungs."""
    return frozenset(rungs.ladder(setting, eta=eta, min_step=min_step))


def should_prune(  # each option is one of the study's
    trial: Course,
    peers: Sequence[Course],
    setting: Setting,
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    merge: bool = True,
    grow: bool = False,
    cost_aware: bool = False,
) -> Verdict:
    """Judge at a rung: go on, or pause. What is no number never comes back: it is pruned.

    `merge` leaves out rungs that say nothing of the next; `grow` lets trials pass a rung only
    where it does not just repeat the one below; `cost_aware` multiplies a trial's place by its
    seconds per epoch against the median's, so that a dear one must be better to go on.
    """
    step = trial.step
    ladder = rungs.ladder(setting, eta=eta, min_step=min_step, merge=merge)
    if step not in ladder:
        return Verdict()
    if not isfinite(trial.values[step]):
        reason = f"{setting.objective.metric} at epoch {step} is not a number"
        return Verdict(action=Action.PRUNE, reason=reason)
    found = rungs.standing(trial, peers, setting, cost_aware=cost_aware)
    go_on = rungs.places(found.reached, eta=eta, closing=setting.closing)
    if found.claim >= go_on:
        return Verdict(action=Action.PAUSE, reason=_reason(trial, found, go_on, setting, eta))
    if grow and not setting.closing and step >= rungs.ceiling(as_field(peers), ladder, setting):
        words = rungs.told(trial, step, setting)
        reason = f"{words} waits: trials there stand in the order of the rung below"
        return Verdict(action=Action.PAUSE, reason=reason)
    return Verdict()


def promote(
    courses: Sequence[Course],
    setting: Setting,
    *,
    eta: int = 3,
    min_step: int | None = None,
    merge: bool = True,
    grow: bool = False,
    cost_aware: bool = False,
) -> tuple[int, str] | None:
    """Number of the paused trial to go on first, and why; None while there is none."""
    field = as_field(courses)
    ladder = rungs.ladder(setting, eta=eta, min_step=min_step, merge=merge)
    top = rungs.ceiling(field, ladder, setting) if grow and not setting.closing else setting.epochs
    for step in reversed(ladder):
        if step >= top:
            continue
        found = rungs.promotable(field, step, setting, eta=eta, cost_aware=cost_aware)
        if found:
            number, place = found[0]
            words = rungs.told(field.of(number), step, setting)
            return number, f"promoted: {words} is number {place + 1} of those there"
    return None


def _reason(trial: Course, found: Standing, go_on: int, setting: Setting, eta: int) -> str:
    words = rungs.told(trial, trial.step, setting)
    if go_on == 0:
        there = f"{found.reached} of {eta} trials are there"
        return f"{words} waits for others to compare with: {there}"
    if found.place < go_on:
        among = f"{words} is among the best {rungs.share(eta)} of {found.reached} trials"
        return f"{among}, but an epoch takes {found.price:.1f} times the seconds of the median"
    bar = setting.objective.key(float(found.keys[go_on - 1]))  # the key of a key is the value
    return (
        f"{words} is {rungs.side(setting)} the best {rungs.share(eta)} of {found.reached} trials "
        f"({bar:.3f})"
    )
