"""Population-based training: the weak give way to changed copies of the strong, as they train.

Jaderberg et al. 2017, without a barrier. `search.trials` is the size of the population. Every
`interval` epochs a trial is compared with the values that the others had at that epoch. One of
the worst `share` is ended, and in its place a copy of one of the best goes on from that one's
checkpoint, with another learning rate, weight decay or augmentation. The copy's config holds the
changes with their epochs, so what is found is a schedule, and trains again from nothing.

With fewer workers than trials they take turns: who has trained an interval waits until nobody
stands behind. All trainings together never take more epochs than the first ones would alone.
"""

import random
from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from optuna.samplers import BaseSampler, RandomSampler
from pydantic import Field

from tuner.search.course import Course, Setting
from tuner.search.guides import Cloud
from tuner.search.rungs import side, told
from tuner.spec.config import may_change
from tuner.spec.messages import Action, Verdict
from tuner.spec.shares import at_most
from tuner.spec.space import Params
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

JUDGES = True  # it decides itself which trials go on
_GONE = frozenset({TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED})


def build(
    spec: StudySpec,
    seed: int,
    *,
    interval: Annotated[int, Field(ge=1)] | None = None,
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.25,
    spread: Annotated[float, Field(gt=0, le=1)] = 0.1,
) -> BaseSampler:
    """Give the sampler of the first population: random draws.

    `interval` None: a tenth of the epochs. `share` of the trials at an epoch are the worst, as
    many the best; `spread` is how far a value moves, as a share of its range.
    """
    return RandomSampler(seed=seed)


def judged_steps(
    setting: Setting, *, interval: int | None, share: float, spread: float
) -> frozenset[int]:
    """The epochs, past warm-up, at which trials are compared and may take turns."""
    every = interval or max(1, round(setting.epochs / 10))
    return frozenset(range(every, setting.epochs, every)) - frozenset(range(setting.warmup + 1))


def should_prune(
    trial: Course,
    peers: Sequence[Course],
    setting: Setting,
    *,
    interval: int | None,
    share: float,
    spread: float,
) -> Verdict:
    """Go on in place, or pause: for others that stand behind, or to be replaced."""
    step, words = trial.step, f"epoch {trial.step}"
    if not isfinite(trial.values[step]):
        reason = f"{setting.objective.metric} at {words} is not a number"
        return Verdict(action=Action.PRUNE, reason=reason)
    if not setting.closing:
        reason = f"at {words} it gives way: the population is not complete"
        return Verdict(action=Action.PAUSE, reason=reason)
    behind = sum(
        peer.state is TrialState.PAUSED and peer.step <= step and peer.number != trial.number
        for peer in peers
    )
    if behind:
        reason = f"at {words} it gives way to {behind} that stand no further"
        return Verdict(action=Action.PAUSE, reason=reason)
    if weakness := _weakness(trial, peers, setting, share):
        return Verdict(action=Action.PAUSE, reason=weakness)
    return Verdict()


def promote(
    courses: Sequence[Course],
    setting: Setting,
    *,
    interval: int | None,
    share: float,
    spread: float,
) -> tuple[int, str] | None:
    """Number of the paused trial whose turn it is, and why: the one that stands furthest behind."""
    paused = [course for course in courses if course.state is TrialState.PAUSED]
    if not (paused and setting.closing):
        return None
    course = min(paused, key=lambda course: (course.step, course.number))
    weakness = _weakness(course, courses, setting, share)
    return course.number, weakness or f"goes on from epoch {course.step}: it is its turn"


def models(
    trial: Course,
    courses: Sequence[Course],
    setting: Setting,
    *,
    interval: int | None,
    share: float,
    spread: float,
) -> tuple[int, ...]:
    """Numbers of those that a copy may take the trial's place of, the best first; else none."""
    if not _weakness(trial, courses, setting, share):
        return ()
    order = _order(trial, courses, setting)
    return tuple(course.number for course in order[: at_most(share, len(order))])


def vary(
    spec: StudySpec,
    params: Params,
    rng: random.Random,
    *,
    interval: int | None,
    share: float,
    spread: float,
) -> Params:
    """Other values, near these, of what may change while a trial trains."""
    paths = frozenset(path for path in params if may_change(path))
    near = Cloud(spec.space, spread=spread).near(params, rng, moving=paths)
    return {path: near[path] for path in near if path in paths and near[path] != params[path]}


def _weakness(trial: Course, courses: Sequence[Course], setting: Setting, share: float) -> str:
    """Why a trial is among the worst at its last step, in words; empty if it is not."""
    order = _order(trial, courses, setting)
    worst = at_most(share, len(order))
    if worst == 0 or trial.number not in {course.number for course in order[-worst:]}:
        return ""
    bar = order[-worst - 1].values[trial.step]
    return (
        f"{told(trial, trial.step, setting)} is {side(setting)} the best {len(order) - worst} of "
        f"{len(order)} trials ({bar:.3f})"
    )


def _order(trial: Course, courses: Sequence[Course], setting: Setting) -> list[Course]:
    """The population at the trial's last step, the best first; of equals the older."""
    step, key = trial.step, setting.objective.key
    there = [
        course
        for course in courses
        if course.number != trial.number
        and course.state not in _GONE
        and isfinite(course.values.get(step, float("nan")))
    ]
    alive = [trial, *there] if step else []
    return sorted(alive, key=lambda course: (key(course.values[step]), course.number))
