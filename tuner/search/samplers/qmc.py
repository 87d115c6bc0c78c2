"""Points of a low-discrepancy sequence: they fill the space more evenly than chance does.

Sobol' (scrambled after Owen 1998) or Halton. Trial n is point n - 1, whoever asks for it and in
whatever order. Each dimension has a coordinate of its own; where a condition does not hold, its
coordinate is not used.
"""

from threading import Lock
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.optuna_encoding import distributions
from tuner.search.rules import Rules
from tuner.search.samplers._known import PointSampler
from tuner.search.units import from_unit
from tuner.spec.study import StudySpec

NEEDS = ("scipy",)
SYSTEMATIC = True
_ONE_AT_A_TIME = Lock()  # scipy's Sobol' engines share a table that threads must not fill at once


def build(
    rules: Rules,
    seed: int,
    *,
    sequence: Literal["sobol", "halton"] = "sobol",
    scramble: bool = True,
) -> BaseSampler:
    """Give the sampler; `seed` only matters for a param that the space does not name."""
    return _Sequence(rules.spec, seed, sequence, scramble)


class _Sequence(PointSampler):
    def __init__(self, spec: StudySpec, seed: int, sequence: str, scramble: bool) -> None:
        self.known = dict(sorted(distributions(spec.space).items()))
        self._seed, self._sequence, self._scramble = spec.search.seed, sequence, scramble
        self.otherwise = RandomSampler(seed=seed)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The trial's own point."""
        if not search_space:
            return {}
        shares = self._point(max(0, trial.number - 1), len(search_space))
        return {
            name: from_unit(distribution, share)
            for (name, distribution), share in zip(search_space.items(), shares, strict=True)
        }

    def _point(self, index: int, size: int) -> list[float]:
        from scipy.stats import qmc  # takes a second to import, and only this sampler needs it

        kind = qmc.Sobol if self._sequence == "sobol" else qmc.Halton
        with _ONE_AT_A_TIME:
            engine = kind(size, scramble=self._scramble, rng=self._seed)
            if index:
                engine.fast_forward(index)
            point: list[float] = engine.random(1)[0].tolist()
        return point
