"""The verdict on a trial's report, and the promotion of paused ones: pure functions."""

import random
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from tuner.configs import catalog
from tuner.configs.catalog import Component
from tuner.search.agreement import Agreement, agreements
from tuner.search.fidelity import is_staged
from tuner.search.learning_curve import LearningCurve, PruningContext, context_of
from tuner.search.ranking import ranked
from tuner.search.rungs import describe
from tuner.spec.messages import Action, Verdict
from tuner.spec.space import Params
from tuner.spec.study import StudySpec

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
    module, options = _pruner(spec)
    steps: frozenset[int] | None = module.judged_steps(context_of(spec), **options)
    return steps


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
    module, options = _pruner(spec)
    context = _context(spec, peers, closing)
    if len(spec.objectives) > 1:
        others = [peer for peer in peers if peer.number != trial.number]
        *peers, trial = ranked([*others, trial], spec.objectives, [step])
    verdict: Verdict = module.should_prune(trial, peers, context, **options)
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
    module, options = _pruner(spec)
    if not hasattr(module, "promote"):
        return None
    context = _context(spec, curves, closing)
    if len(spec.objectives) > 1:
        curves = ranked(curves, spec.objectives, judged_steps(spec) or ())
    found: tuple[int, str] | None = module.promote(curves, context, **options)
    return found


def donors(
    spec: StudySpec, curves: Sequence[LearningCurve], number: int, *, closing: bool = False
) -> tuple[int, ...]:
    """Numbers of the trials of which a copy may take a paused trial's place, the best first."""
    module, options = _pruner(spec)
    if not hasattr(module, "donors"):
        return ()
    if len(spec.objectives) > 1:
        curves = ranked(curves, spec.objectives, judged_steps(spec) or ())
    trial = next(curve for curve in curves if curve.number == number)
    found: tuple[int, ...] = module.donors(
        trial, curves, _context(spec, curves, closing), **options
    )
    return found


def perturbed(spec: StudySpec, params: Params, rng: random.Random) -> Params:
    """What a copy of a trial with these params does otherwise, by path."""
    module, options = _pruner(spec)
    found: Params = module.perturb(spec, params, rng, **options)
    return found


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


def _pruner(spec: StudySpec) -> tuple[ModuleType, dict[str, Any]]:
    name = choose_pruner(spec)
    sampler = spec.search.sampler
    if name == sampler.name:
        known = catalog.find("sampler", name).options
        given = {key: option.default for key, option in known.items()} | sampler.options
        return catalog.load("sampler", name), {k: known[k].check(v)[0] for k, v in given.items()}
    known = catalog.find("pruner", name).options
    own = spec.search.pruner.options if name == spec.search.pruner.name else {}
    return catalog.load("pruner", name), {k: known[k].check(v)[0] for k, v in own.items()}
