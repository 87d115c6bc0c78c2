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
from tuner.search.curve_table import as_table
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.rungs import RungRank
from tuner.spec.messages import Action, Verdict


def judged_steps(
    context: PruningContext,
    *,
    eta: int = 3,
    min_step: int | None = None,
    merge: bool = True,
    grow: bool = False,
    cost_aware: bool = False,
) -> frozenset[int] | None:
    """The rungs."""
    return frozenset(rungs.ladder(context, eta=eta, min_step=min_step))


def should_prune(  # each option is one of the study's
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
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
    seconds per epoch against the median's, so that an expensive one must be better to go on.
    """
    step = trial.step
    ladder = rungs.ladder(context, eta=eta, min_step=min_step, merge=merge)
    if step not in ladder:
        return Verdict()
    if not isfinite(trial.values[step]):
        reason = f"{context.objective.metric} at epoch {step} is not a number"
        return Verdict(action=Action.PRUNE, reason=reason)
    found = rungs.rank_at_rung(trial, peers, context, cost_aware=cost_aware)
    go_on = rungs.quota(found.reached, eta=eta, closing=context.closing)
    if found.adjusted_rank >= go_on:
        return Verdict(action=Action.PAUSE, reason=_reason(trial, found, go_on, context, eta))
    if grow and not context.closing and step >= rungs.ceiling(as_table(peers), ladder, context):
        words = rungs.describe(trial, step, context)
        reason = f"{words} waits: trials there stand in the order of the rung below"
        return Verdict(action=Action.PAUSE, reason=reason)
    return Verdict()


def promote(
    curves: Sequence[LearningCurve],
    context: PruningContext,
    *,
    eta: int = 3,
    min_step: int | None = None,
    merge: bool = True,
    grow: bool = False,
    cost_aware: bool = False,
) -> tuple[int, str] | None:
    """Number of the paused trial to go on first, and why; None while there is none."""
    table = as_table(curves)
    ladder = rungs.ladder(context, eta=eta, min_step=min_step, merge=merge)
    top = rungs.ceiling(table, ladder, context) if grow and not context.closing else context.epochs
    for step in reversed(ladder):
        if step >= top:
            continue
        found = rungs.promotable(table, step, context, eta=eta, cost_aware=cost_aware)
        if found:
            number, rank = found[0]
            words = rungs.describe(table.of(number), step, context)
            return number, f"promoted: {words} is number {rank + 1} of those there"
    return None


def _reason(
    trial: LearningCurve, found: RungRank, go_on: int, context: PruningContext, eta: int
) -> str:
    words = rungs.describe(trial, trial.step, context)
    if go_on == 0:
        there = f"{found.reached} of {eta} trials are there"
        return f"{words} waits for others to compare with: {there}"
    if found.rank < go_on:
        among = f"{words} is among the best {rungs.fraction(eta)} of {found.reached} trials"
        return f"{among}, but an epoch takes {found.cost_ratio:.1f} times the seconds of the median"
    bar = context.objective.key(float(found.keys[go_on - 1]))  # the key of a key is the value
    best = f"the best {rungs.fraction(eta)} of {found.reached} trials ({bar:.3f})"
    return f"{words} is {rungs.worse_side(context)} {best}"
