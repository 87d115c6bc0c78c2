"""The verdict on a trial's report, and the promotion of paused ones: pure functions."""

import random
from collections.abc import Sequence
from dataclasses import replace

from tuner.search.agreement import Agreement, agreements
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pausing, Replacing
from tuner.search.ranking import ranked
from tuner.search.rules import Rules
from tuner.search.rungs import describe
from tuner.spec.messages import Action, Verdict
from tuner.spec.space import Params


def judge(
    rules: Rules,
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    *,
    closing: bool = False,
) -> Verdict:
    """Whether the trial goes on after its last step.

    Peers count with their value at that very step, in whatever state they are now; the
    trial itself is never its own peer. The final step is never judged: there is nothing to save.

    Args:
        closing: no new trial will be drawn.
    """
    step = trial.step
    if step == 0 or step >= rules.spec.most_epochs or not rules.is_judged(step):
        return Verdict()
    context = _context(rules, peers, closing)
    if len(rules.spec.objectives) > 1:
        others = [peer for peer in peers if peer.number != trial.number]
        *peers, trial = ranked([*others, trial], rules.spec.objectives, [step])
    verdict = rules.pruner.should_prune(trial, peers, context)
    if verdict.action is Action.CONTINUE and rules.is_staged:
        reason = f"{describe(trial, step, context)} is among the best: to be trained again on more"
        return Verdict(action=Action.PAUSE, reason=reason)
    return verdict


def promotion(
    rules: Rules,
    curves: Sequence[LearningCurve],
    *,
    closing: bool = False,
) -> tuple[int, str] | None:
    """Number of the paused trial that a free worker goes on with, and why, if there is one."""
    pruner = rules.pruner
    if not isinstance(pruner, Pausing):
        return None
    context = _context(rules, curves, closing)
    if len(rules.spec.objectives) > 1:
        curves = ranked(curves, rules.spec.objectives, rules.judged_steps or ())
    return pruner.promote(curves, context)


def may_copy(rules: Rules) -> bool:
    """Whether a trial may take another one's place as a copy of a third."""
    return isinstance(rules.pruner, Replacing)


def donors(
    rules: Rules, curves: Sequence[LearningCurve], number: int, *, closing: bool = False
) -> tuple[int, ...]:
    """Numbers of the trials of which a copy may take a paused trial's place, the best first."""
    pruner = rules.pruner
    if not isinstance(pruner, Replacing):
        return ()
    if len(rules.spec.objectives) > 1:
        curves = ranked(curves, rules.spec.objectives, rules.judged_steps or ())
    trial = next(curve for curve in curves if curve.number == number)
    return pruner.donors(trial, curves, _context(rules, curves, closing))


def perturbed(rules: Rules, params: Params, rng: random.Random) -> Params:
    """What a copy of a trial with these params does otherwise, by path."""
    pruner = rules.pruner
    return pruner.perturb(rules.spec.space, params, rng) if isinstance(pruner, Replacing) else {}


def unreliable(rules: Rules, curves: Sequence[LearningCurve]) -> tuple[Agreement, ...]:
    """Rungs whose ranks say too little about the next: they are merged upward."""
    steps = rules.judged_steps
    if steps is None or len(rules.spec.objectives) > 1 or rules.sampler_judges:
        return ()
    if rules.spec.searches_epochs:
        return ()  # trials are not compared there
    ladder = (*sorted(steps), rules.spec.base.training.epochs)
    return tuple(found for found in agreements(curves, ladder) if found.is_poor)


def _context(rules: Rules, curves: Sequence[LearningCurve], closing: bool) -> PruningContext:
    # A trial that was trained on less for a rung of its own would be lost with the rung.
    poor = () if rules.is_staged else unreliable(rules, curves)
    skipped = frozenset(found.step for found in poor)
    return replace(rules.context, skipped=skipped, closing=closing)
