"""Ways to search by name: ours as `SAMPLER+PRUNER`, baselines by their own names.

Options stand in brackets: `rung_tpe+promote[min_step=9]`, `syne-asha[grace_period=3]`. `@best` and
`@worst` give ours a prior: the best or the worst of some random trainings. `@kin` and `@odds` start
it from a finished study of random trainings on the next task: as they were, or turned upside down.
At last, `@5h` tells ours that the study ends five hours after its first trial began.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.search.simulator import Clock, Tuner
from benchmarks.search.task import Task, params_at
from tuner.search.optuna_import import ImportedTrial
from tuner.service.imports import bring_in
from tuner.spec.space import Params
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

# Baseline → the module beside this one that speaks to its package.
BASELINES = {
    **dict.fromkeys(
        ("random", "optuna", "optuna-tpe", "optuna-hyperband", "optuna-gp"), "optuna_baseline"
    ),
    **dict.fromkeys(("syne-asha", "syne-bohb"), "syne_baseline"),
    **dict.fromkeys(("neps-asha", "neps-priorband"), "neps_baseline"),
    "ray-asha": "ray_baseline",
    "syne-mobster": "mobster_baseline",
}
_BASELINE = re.compile(r"([a-z-]+)(?:\[(.*?)\])?")
_OURS = re.compile(
    r"(\w+)(?:\[(.*?)\])?\+(\w+)(?:\[(.*?)\])?(?:@(best|worst|kin|odds))?(?:@([0-9.]+)h)?"
)
TRIED = 20  # random trainings, of which a prior is one
EARLIER = 60  # random trainings that the study to start from consists of


def is_installed(name: str) -> bool:
    """Whether the package of a method is there. Raises ValueError for an unknown method."""
    if _OURS.fullmatch(name):
        return True
    baseline, _ = _baseline(name)
    try:
        _adapter(baseline)
    except ImportError:
        return False
    return True


@contextmanager
def open_tuner(name: str, task: Task, seed: int, clock: Clock) -> Iterator[Tuner]:
    """The method at the start of a study."""
    if _OURS.fullmatch(name):
        from benchmarks.search import service

        spec = our_study(name, task, seed)
        with service.database(clock) as db:
            if spec.search.warm_start:
                bring_in(db, *_earlier(name, task, seed), origin="another task")
            yield service.ServiceTuner(db, spec)
    else:
        baseline, options = _baseline(name)
        yield _adapter(baseline).build(baseline, task, seed, options)


def our_study(name: str, task: Task, seed: int) -> StudySpec:
    """The study of a method of ours; its base recipe is a random draw, so that it knows nothing."""
    found = _OURS.fullmatch(name)
    if found is None:
        raise ValueError(f"'{name}' is not SAMPLER+PRUNER, as in tpe+asha[min_step=3]")
    sampler, sampler_options, pruner, pruner_options, prior, hours = found.groups()
    point = np.random.default_rng([seed, 11]).random(len(task.space))
    return task.study(
        {
            "sampler": {"name": sampler, **_options(sampler_options)},
            "pruner": {"name": pruner, **_options(pruner_options)},
            "trials": 1_000_000,
            "parallel": 100_000,
            "max_wall_hours": float(hours) if hours else None,
            "seed": seed,
            "prior": (
                {"configs": [_prior(prior, task, seed)]} if prior in {"best", "worst"} else None
            ),
            "warm_start": ["earlier"] if prior in {"kin", "odds"} else [],
        },
        start=params_at(task.study({}), point),
    )


def _prior(which: str, task: Task, seed: int) -> Params:
    """The params of some random trainings whose last value is the best, or the worst."""
    points = np.random.default_rng([seed, 12]).random((TRIED, len(task.space)))
    tried = [params_at(task.study({}), point) for point in points]
    keys = [task.key(curve.values[-1]) for curve in task.curves(tried)]
    return tried[int(np.argmin(keys) if which == "best" else np.argmax(keys))]


def _earlier(name: str, task: Task, seed: int) -> tuple[StudySpec, list[ImportedTrial]]:
    """The finished study that a search starts from."""
    if task.kin is None:
        raise ValueError(f"{task.name} has no task beside it to start from")
    spec = task.kin.study({"sampler": "random", "pruner": "none"})
    points = np.random.default_rng([seed, 13]).random((EARLIER, len(task.space)))
    tried = [params_at(spec, point) for point in points]
    finals = [curve.values[-1] for curve in task.kin.curves(tried)]
    if "@odds" in name:
        finals = [max(finals) + min(finals) - value for value in finals]
    imported = [
        ImportedTrial(params, TrialState.COMPLETED, (value,))
        for params, value in zip(tried, finals, strict=True)
    ]
    return spec.model_copy(update={"name": "earlier"}), imported


def _baseline(name: str) -> tuple[str, dict[str, Any]]:
    found = _BASELINE.fullmatch(name)
    if found is None or found[1] not in BASELINES:
        known = ", ".join(BASELINES)
        raise ValueError(f"no method '{name}'; give SAMPLER+PRUNER or one of: {known}")
    return found[1], _options(found[2])


def _adapter(baseline: str) -> ModuleType:
    return import_module(f"benchmarks.search.{BASELINES[baseline]}")


def _options(text: str | None) -> dict[str, Any]:
    pairs = (pair.partition("=") for pair in (text or "").split(",") if pair)
    return {key.strip(): _value(value.strip()) for key, _, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
