"""A Gaussian process over params and rungs: the most from few results, at 0.1 seconds per draw.

Results of every rung are learnt from together; the next trial is where log expected improvement at
the full budget is greatest, running trials believed, at most so many trials near each other. Bounds
count as probabilities; several objectives are one of random weights at each draw (Knowles 2006). A
param that a condition switched off counts with the middle of its range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log
from typing import Annotated, Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from pydantic import Field

from tuner.optuna_encoding import varying
from tuner.search.cube import UnitCube
from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import KernelSpec
from tuner.search.in_memory_storage import InMemoryStorage
from tuner.search.maximisation import Crowd, best_point
from tuner.search.rules import Rules
from tuner.search.rung_results import RungResults
from tuner.search.samplers import rung_tpe
from tuner.search.samplers._known import PointSampler
from tuner.search.surrogate import scalarised, surrogate

NEEDS = ("scipy",)
AHEAD = True  # slow: drawn outside of the study's lock, and ahead of need

_RUNGS = 5  # below the full budget that are learnt from, where trials are compared at more
_FEWEST = 6  # results before the model draws, in spaces of few dimensions


def build(
    rules: Rules,
    seed: int,
    *,
    startup: Annotated[int, Field(ge=0)] | None = None,
    history: Annotated[int, Field(ge=20, le=1000)] = 300,
    crowd: Annotated[int, Field(ge=0)] = 2,
    tpe: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> BaseSampler:
    """Give the sampler; draws are random until `startup` trials have results.

    `startup` None: the dimensions and one. Of more than `history` results those of the best
    trials, of the latest and of some of all times are kept. No more than `crowd` trials lie within
    a tenth of each other along every coordinate, 0: however many; with several objectives there
    is no limit. `tpe` is the share of draws that `rung_tpe` makes in its place.
    """
    dimensions, is_one = len(varying(rules.spec.space)), len(rules.spec.objectives) == 1
    limits = _Limits(
        startup=max(dimensions + 1, _FEWEST) if startup is None else startup,
        history=history,
        crowd=crowd if is_one else 0,
    )
    return GaussianProcessSampler(rules, seed, limits, tpe=tpe)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Trials with results before the model draws; results it holds; trials near each other."""

    startup: int
    history: int
    crowd: int


class GaussianProcessSampler(PointSampler):
    """Draws by the model, or in turn with TPE; the trial's number says whose turn it is."""

    def __init__(self, rules: Rules, seed: int, limits: _Limits, *, tpe: float) -> None:
        self.known, self._cube = varying(rules.spec.space), UnitCube.of(rules.spec.space)
        self._limits, self._share = limits, tpe
        self._steps, self._epochs = thinned(rules.learning_steps), rules.context.epochs
        self._rng = np.random.default_rng(seed)
        self._tpe = rung_tpe.build(rules, seed)
        self.otherwise = RandomSampler(seed=seed)

    def reseed_rng(self) -> None:
        """Begin other random numbers."""
        self._rng = np.random.default_rng()
        self._tpe.reseed_rng()
        self.otherwise.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let TPE look at the study if it is its turn."""
        if self._is_for_tpe(trial):
            self._tpe.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is drawn together: everything, or what TPE says."""
        if self._is_for_tpe(trial):
            return self._tpe.infer_relative_search_space(study, trial)
        return super().infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values at the point that promises most; none before there are enough results."""
        if self._is_for_tpe(trial):
            return self._tpe.sample_relative(study, trial, search_space)
        is_own = search_space.keys() == self.known.keys()
        cube = self._cube if is_own else UnitCube(search_space)
        try:
            point = self._point(study, trial.number, cube) if len(cube) else None
        except np.linalg.LinAlgError:
            return {}
        return {} if point is None else cube.values(point)

    def _is_for_tpe(self, trial: FrozenTrial) -> bool:
        """Whether it is TPE's turn, which comes evenly with the numbers."""
        return floor(trial.number * self._share) > floor((trial.number - 1) * self._share)

    def _point(self, study: Study, number: int, cube: UnitCube) -> Floats | None:
        results = self._results(study, cube)
        signs = np.array([-1.0 if d is StudyDirection.MAXIMIZE else 1.0 for d in study.directions])
        if len(signs) == 1:
            values, times = -signs[0] * results.values, self._times()
        else:
            values, times = scalarised(results.finals, signs, self._rng), np.zeros(1)
        found = surrogate(
            results,
            values,
            KernelSpec(cube.is_choice, times),
            asked=number,
            startup=self._limits.startup,
            history=self._limits.history,
        )
        if found is None:
            return None
        crowd = Crowd(found.taken, cube.is_choice, self._limits.crowd)
        return best_point(found.acquisition, cube, found.leaders, crowd, self._rng)

    def _results(self, study: Study, cube: UnitCube) -> RungResults:
        """The study's results; kept up to date from draw to draw where the storage can."""

        def make() -> RungResults:
            return RungResults(cube, self._steps, len(study.directions))

        storage = study._storage
        if isinstance(storage, InMemoryStorage):
            return storage.kept(("results", cube.names), make)
        results = make()
        results.update(study.get_trials(deepcopy=False))
        return results

    def _times(self) -> Floats:
        """Where the rungs lie: by the logarithm of their steps, from 0 to 1 at the full budget."""
        steps = (*self._steps, self._epochs)
        if len(steps) == 1:
            return np.zeros(1)
        return np.array([log(step / steps[0]) / log(steps[-1] / steps[0]) for step in steps])


def thinned(steps: Sequence[int]) -> tuple[int, ...]:
    """A few of many steps, the first and the last among them, each so many times the one before."""
    if len(steps) <= _RUNGS:
        return tuple(steps)
    wanted = np.geomspace(steps[0], steps[-1], _RUNGS)
    return tuple(sorted({steps[int(np.abs(np.array(steps) - at).argmin())] for at in wanted}))
