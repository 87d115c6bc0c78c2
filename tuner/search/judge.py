"""The verdict on a trial's report: a pure function of reported values."""

from collections.abc import Sequence
from typing import Any

from tuner import catalog
from tuner.search.course import Course, setting_of
from tuner.spec.messages import Verdict
from tuner.spec.study import StudySpec

_FEWEST_EPOCHS = 9  # below, `auto` prunes nothing: there is no rung worth the name


def choose_pruner(spec: StudySpec) -> str:
    """Name of the pruner that judges: the study's own, or what `auto` means."""
    name = spec.search.pruner.name
    if name != "auto":
        return name
    long_enough = spec.base.training.epochs >= _FEWEST_EPOCHS
    return "asha" if long_enough and len(spec.objectives) == 1 else "none"


def judged_steps(spec: StudySpec) -> frozenset[int] | None:
    """Steps at which trials are compared, so that peers are needed; None means every step."""
    name, options = _pruner(spec)
    steps: frozenset[int] | None = catalog.load("pruner", name).judged_steps(
        setting_of(spec), **options
    )
    return steps


def judge(
    spec: StudySpec, trial: Course, peers: Sequence[Course], *, step: int | None = None
) -> Verdict:
    """Whether the trial goes on after `step`, by default its last.

    Peers count with their value at that very step, whatever has become of them; the trial
    itself is never its own peer. The final step is never pruned: there is nothing to save.
    """
    if not trial.values:
        return Verdict()
    at = max(trial.values) if step is None else step
    if at not in trial.values or at >= spec.base.training.epochs:
        return Verdict()
    steps = judged_steps(spec)
    if steps is not None and at not in steps:
        return Verdict()
    name, options = _pruner(spec)
    verdict: Verdict = catalog.load("pruner", name).should_prune(
        trial.until(at), peers, setting_of(spec), **options
    )
    return verdict


def _pruner(spec: StudySpec) -> tuple[str, dict[str, Any]]:
    name = choose_pruner(spec)
    known = catalog.find("pruner", name).options
    own = spec.search.pruner.options if name == spec.search.pruner.name else {}
    return name, {key: known[key].check(value)[0] for key, value in own.items()}
