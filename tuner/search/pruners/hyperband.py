"""Hyperband (Li et al. 2018), asynchronous: several ladders side by side, each with its trials.

A trial of bracket b is spared the first b rungs, and is compared with trials of its bracket only.
Brackets hedge against a first rung that is too low; each gets about the same budget, so that the
lower ones get more trials. Within a bracket trials are paused and promoted as in `promote`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from tuner.search import rungs
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners import promote as halving
from tuner.spec.messages import Verdict


def judged_steps(
    context: PruningContext, *, eta: int = 3, min_step: int | None = None, brackets: int = 3
) -> frozenset[int] | None:
    """The rungs of all brackets."""
    return frozenset(rungs.ladder(context, eta=eta, min_step=min_step))


def should_prune(
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    context: PruningContext,
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    brackets: Annotated[int, Field(ge=1, le=8)] = 3,
) -> Verdict:
    """Judge at a rung of the trial's bracket: go on, or pause."""
    ladder = rungs.ladder(context, eta=eta, min_step=min_step)
    own = bracket(trial.number, min(brackets, len(ladder) + 1), eta)
    alike = [peer for peer in peers if _bracket_of(peer, brackets, ladder, eta) == own]
    above = replace(context, skipped=context.skipped | set(ladder[:own]))
    return halving.should_prune(trial, alike, above, eta=eta, min_step=min_step)


def promote(
    curves: Sequence[LearningCurve],
    context: PruningContext,
    *,
    eta: int = 3,
    min_step: int | None = None,
    brackets: int = 3,
) -> tuple[int, str] | None:
    """The first promotable trial, from the bracket that asks least of a trial on."""
    ladder = rungs.ladder(context, eta=eta, min_step=min_step)
    for own in range(min(brackets, len(ladder) + 1)):
        alike = [one for one in curves if _bracket_of(one, brackets, ladder, eta) == own]
        above = replace(context, skipped=context.skipped | set(ladder[:own]))
        found = halving.promote(alike, above, eta=eta, min_step=min_step)
        if found is not None:
            return found
    return None


def bracket(number: int, brackets: int, eta: int) -> int:
    """The bracket of a trial: of eta^(k-1) + … + 1 in a row, eta^(k-1) are of bracket 0."""
    shares = [eta ** (brackets - 1 - index) for index in range(brackets)]
    place = number % sum(shares)
    for index, share in enumerate(shares):
        if place < share:
            return index
        place -= share
    raise AssertionError("the shares add up")  # pragma: no cover


def _bracket_of(curve: LearningCurve, brackets: int, ladder: Sequence[int], eta: int) -> int:
    return bracket(curve.number, min(brackets, len(ladder) + 1), eta)
