"""What an earlier study teaches a new one: its best points, for as long as the two agree.

The earlier study predicts the rank of each of our trials from its nearest own ones. How well those
ranks agree with what our trials really reach (Spearman) is the weight of its advice, so that a
study of another data set, on which other things work, soon has no say.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from tuner.optuna_encoding import distributions, encode
from tuner.search.agreement import spearman
from tuner.search.optuna_trials import is_whole
from tuner.search.proposers import Neighbourhood, decayed_weight, values_by_step
from tuner.search.units import to_unit
from tuner.spec import shares
from tuner.spec.space import Params
from tuner.spec.states import TrialSource
from tuner.spec.study import StudySpec

_TRIED = 3  # points of an earlier study that are tried at once
_TOP = 0.15  # share of its trials to draw near
_NEIGHBOURS = 3
_FEWEST = 5  # results at a step before ranks say anything
_ASSUMED_AGREEMENT = (
    0.5  # agreement that is taken for granted before, with the weight of five results
)
_HALVED_BY = 5  # results: another data set's best is a start, and misleads in the long run
_WEIGHT = 0.5  # share of the draws at most, for all earlier studies together


@dataclass(frozen=True, slots=True)
class SourceTrial:
    """A trial of an earlier study, as a point of ours: its value at its last step."""

    params: Params
    value: float
    step: float


class WarmStartProposer:
    """Draws near the best trials of one earlier study."""

    source = TrialSource.WARM

    def __init__(self, spec: StudySpec, trials: Sequence[SourceTrial], *, among: int = 1) -> None:
        self._objective, self._weight = spec.objective, _WEIGHT / among
        self._known = dict(sorted(distributions(spec.space).items()))
        ranked = sorted(trials, key=lambda t: (-t.step, self._objective.key(t.value)))
        whole = _distinct(trial.params for trial in ranked if is_whole(spec.space, trial.params))
        self._best = whole[: max(_TRIED, shares.nearest(_TOP, len(whole)))]
        self.candidates: Sequence[Params] = whole[: max(1, _TRIED // among)]
        self._neighbourhood = Neighbourhood(spec.space, spread=0.1, kept=0.85)
        self._scores = np.linspace(1.0, 0.0, len(ranked))
        rows = [self._row(encode(spec.space, t.params, known=self._known)[0]) for t in ranked]
        self._rows = np.array(rows).reshape(len(rows), len(self._known))
        self._predicted: dict[int, float] = {}

    def share(self, trials: Sequence[FrozenTrial]) -> float:
        """The weight, times how well the studies agree, times how well its draws do here."""
        if not self._best:
            return 0.0
        decayed = decayed_weight(self.source, trials, self._objective, halved_by=_HALVED_BY)
        return self._weight * self.agreement(trials) * decayed if decayed else 0.0

    def propose(self, rng: random.Random) -> Params:
        """A point near one of its best."""
        return self._neighbourhood.near(rng.choice(self._best), rng)

    def agreement(self, trials: Sequence[FrozenTrial]) -> float:
        """Rank correlation of predicted and reached values, from 0 (none, or opposite) to 1."""
        curves = [(trial, values_by_step(trial, self._objective)) for trial in trials]
        steps = sorted({step for _, curve in curves for step in curve if step > 0}, reverse=True)
        for step in steps:
            reached = [(trial, curve[step]) for trial, curve in curves if step in curve]
            count = len(reached)
            if count >= _FEWEST:
                found = spearman(
                    np.array([self._predict(trial) for trial, _ in reached]),
                    np.array([-self._objective.key(value) for _, value in reached]),
                )
                return max(0.0, (count * found + _FEWEST * _ASSUMED_AGREEMENT) / (count + _FEWEST))
        return _ASSUMED_AGREEMENT

    def _predict(self, trial: FrozenTrial) -> float:
        """The rank that the earlier study expects, 1 the best: its nearest trials' mean."""
        if trial.number not in self._predicted:
            away = np.abs(self._rows - self._row(trial.params))
            # What only one of the two has is as far apart as can be; what neither has, equal.
            one_has = np.isnan(self._rows) != np.isnan(self._row(trial.params))
            away = np.where(one_has, 1.0, np.nan_to_num(away))
            is_choice = [isinstance(d, CategoricalDistribution) for d in self._known.values()]
            distance = np.where(is_choice, away > 0, away).sum(axis=1)
            nearest = np.argsort(distance, kind="stable")[:_NEIGHBOURS]
            weights = 1 / (distance[nearest] + 0.05)
            self._predicted[trial.number] = float(
                np.average(self._scores[nearest], weights=weights)
            )
        return self._predicted[trial.number]

    def _row(self, values: Mapping[str, Any]) -> NDArray[np.float64]:
        """A point in units, with no number where a dimension is not active."""
        return np.array(
            [
                to_unit(distribution, values[name]) if name in values else np.nan
                for name, distribution in self._known.items()
            ]
        )


def _distinct(points: Iterable[Params]) -> list[Params]:
    found: list[Params] = []
    for params in points:
        if params not in found:
            found.append(params)
    return found
