"""The verdict on a trial's report, and the promotion of paused ones: pure functions."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tuner.configs import catalog
from tuner.configs.catalog import Component
from tuner.search.agreement import Agreement, agreements
from tuner.search.fidelity import is_staged
from tuner.search.learning_curve import LearningCurve, PruningContext, context_of
from tuner.search.pruners._contract import Pausing, Pruner, Replacing
from tuner.search.ranking import ranked
from tuner.search.rungs import describe
from tuner.search.samplers._contract import JudgingSampler
from tuner.spec.messages import Action, Verdict
from tuner.spec.space import Params
from tuner.spec.study import Strategy, StudySpec

_FEWEST_EPOCHS = 9  # below, `auto` prunes nothing: there is no rung worth the name


def choose_pruner(spec: StudySpec) -> str:
    """Name of the pruner that judges: the study's own, or what `auto` means.

    A sampler that judges itself has its own name here.
    """
    name = spec.search.pruner.name
    sampler = catalog.components("sampler").get(spec.search.sampler.name)
    if sampler and _judges(sampler):
        return sampler.name
    if name != "auto":
        return name
    if sampler and not sampler.constants.get("PAUSES", True):
        return "none"
    has_rungs = is_staged(spec) or spec.most_epochs >= _FEWEST_EPOCHS
    return "promote" if has_rungs else "none"


def _judges(sampler: Component) -> bool:
    return bool(sampler.constants.get("JUDGES"))


def judged_steps(spec: StudySpec) -> frozenset[int] | None:
    """Steps at which trials are compared, so that peers are needed; None means every step."""
    return pruner_of(spec).judged_steps(context_of(spec))


def is_judged(spec: StudySpec, step: int) -> bool:
    """Whether trials are compared at a step."""
    steps = judged_steps(spec)
    return steps is None or step in steps


def judge(
    spec: StudySpec,
    trial: LearningCurve,
    peers: Sequence[LearningCurve],
    *,
    closing: bool = False,
) -> Verdict:
    """Whether the trial goes on after its last step.

    Peers count with their value at that very step, whatever has become of them; the trial
    itself is never its own peer. The final step is never judged: there is nothing to save.

    Args:
        closing: no new trial will be drawn.
    """
    step = trial.step
    if step == 0 or step >= spec.most_epochs:
        return Verdict()
    steps = judged_steps(spec)
    if steps is not None and step not in steps:
        return Verdict()
    context = _context(spec, peers, closing)
    if len(spec.objectives) > 1:
        others = [peer for peer in peers if peer.number != trial.number]
        *peers, trial = ranked([*others, trial], spec.objectives, [step])
    verdict = pruner_of(spec).should_prune(trial, peers, context)
    if verdict.action is Action.CONTINUE and is_staged(spec):
        reason = f"{describe(trial, step, context)} is among the best: to be trained anew on more"
        return Verdict(action=Action.PAUSE, reason=reason)
    return verdict


def promotion(
    spec: StudySpec,
    curves: Sequence[LearningCurve],
    *,
    closing: bool = False,
) -> tuple[int, str] | None:
    """Number of the paused trial that a free worker goes on with, and why, if there is one."""
    pruner = pruner_of(spec)
    if not isinstance(pruner, Pausing):
        return None
    context = _context(spec, curves, closing)
    if len(spec.objectives) > 1:
        curves = ranked(curves, spec.objectives, judged_steps(spec) or ())
    return pruner.promote(curves, context)


def donors(
    spec: StudySpec, curves: Sequence[LearningCurve], number: int, *, closing: bool = False
) -> tuple[int, ...]:
    """Numbers of the trials of which a copy may take a paused trial's place, the best first."""
    pruner = pruner_of(spec)
    if not isinstance(pruner, Replacing):
        return ()
    if len(spec.objectives) > 1:
        curves = ranked(curves, spec.objectives, judged_steps(spec) or ())
    trial = next(curve for curve in curves if curve.number == number)
    return pruner.donors(trial, curves, _context(spec, curves, closing))


def perturbed(spec: StudySpec, params: Params, rng: random.Random) -> Params:
    """What a copy of a trial with these params does otherwise, by path."""
    pruner = pruner_of(spec)
    return pruner.perturb(spec.space, params, rng) if isinstance(pruner, Replacing) else {}


def unreliable(spec: StudySpec, curves: Sequence[LearningCurve]) -> tuple[Agreement, ...]:
    """Rungs whose ranks say too little about the next: they are merged upward."""
    steps = judged_steps(spec)
    if steps is None or len(spec.objectives) > 1 or choose_pruner(spec) == spec.search.sampler.name:
        return ()
    if spec.searches_epochs:
        return ()  # trials are not compared there
    ladder = (*sorted(steps), spec.base.training.epochs)
    return tuple(found for found in agreements(curves, ladder) if found.is_poor)


def _context(spec: StudySpec, curves: Sequence[LearningCurve], closing: bool) -> PruningContext:
    # A trial that was trained on less for a rung of its own would be lost with the rung.
    poor = () if is_staged(spec) else unreliable(spec, curves)
    skipped = frozenset(found.step for found in poor)
    return replace(context_of(spec), skipped=skipped, closing=closing)


def pruner_of(spec: StudySpec) -> Pruner:
    """The pruner that judges the study's trials, with the study's options."""
    name, sampler = choose_pruner(spec), spec.search.sampler
    if name == sampler.name:
        judging: JudgingSampler = catalog.load("sampler", name).build(
            spec, 0, **_options("sampler", sampler)
        )
        return judging.pruner
    own = spec.search.pruner if name == spec.search.pruner.name else Strategy(name=name)
    pruner: Pruner = catalog.load("pruner", name).build(**_options("pruner", own))
    return pruner


def _options(kind: str, strategy: Strategy) -> dict[str, Any]:
    known = catalog.find(kind, strategy.name).options
    return {key: known[key].check(value)[0] for key, value in strategy.options.items()}
