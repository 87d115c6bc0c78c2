"""Draws beside the study's own sampler: near what is expected to be good, as long as that helps.

After PriorBand (Mallik et al. 2023), for any sampler: a share of the draws comes from a density
around prior configs. It shrinks as results come in, and at once where the sampler's own draws do
better at the same steps.
"""

import random
from collections.abc import Container, Mapping, Sequence
from math import inf
from typing import Any, Protocol

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from tuner.configs.recipes import prior_points
from tuner.optuna_encoding import distributions, from_optuna, optuna_name, to_optuna
from tuner.search.credit import SOURCE
from tuner.search.units import from_unit, to_unit
from tuner.spec.space import AnyDimension, Params, SearchSpace
from tuner.spec.states import TrialSource
from tuner.spec.study import Objective, StudySpec

_HALVED_BY = 15  # results after which a share is half, as long as both sources do equally well
_LAST = 200  # ended trials after which no proposer is asked any more
_ASSUMED_COMPARISONS = 2.0  # comparisons that either side is credited with before there are any
_STARTED = -1.0  # the step before all others, at which being trainable is what counts
_MOST = 0.9  # of all draws come from proposers, however many there are


class Proposer(Protocol):
    """Knowledge from outside of the study; the same trials always give the same share."""

    source: TrialSource
    candidates: Sequence[Params]  # points to try before anything is drawn

    def share(self, trials: Sequence[FrozenTrial]) -> float:
        """The share of draws that it should make now."""

    def propose(self, rng: random.Random) -> Params:
        """A point of the space."""


def choose(
    proposers: Sequence[Proposer], trials: Sequence[FrozenTrial], rng: random.Random
) -> Proposer | None:
    """What draws the next trial: a proposer, or None for the study's own sampler."""
    left = rng.random()
    for proposer, share in zip(proposers, shares(proposers, trials), strict=True):
        left -= share
        if left < 0:
            return proposer
    return None


def shares(proposers: Sequence[Proposer], trials: Sequence[FrozenTrial]) -> list[float]:
    """The share of the next draws that each of them makes."""
    wanted = [proposer.share(trials) for proposer in proposers]
    excess = max(1.0, sum(wanted) / _MOST)
    return [share / excess for share in wanted]


class PriorProposer:
    """Draws around the configs of the study's prior."""

    source = TrialSource.PRIOR

    def __init__(self, spec: StudySpec) -> None:
        assert spec.search.prior is not None
        self.candidates: Sequence[Params] = prior_points(spec)
        self._weight = spec.search.prior.weight if self.candidates else 0.0
        self._objective = spec.objective
        self._neighbourhood = Neighbourhood(spec.space)

    def share(self, trials: Sequence[FrozenTrial]) -> float:
        """The weight, less with each result, and less the more the sampler's draws are better."""
        return float(self._weight * decayed_weight(self.source, trials, self._objective))

    def propose(self, rng: random.Random) -> Params:
        """A point near one of the configs."""
        return self._neighbourhood.near(rng.choice(self.candidates), rng)


class Neighbourhood:
    """Points around a point: normal in the units of each range; a choice mostly stays."""

    def __init__(self, space: SearchSpace, *, spread: float = 0.2, kept: float = 0.75) -> None:
        self._space, self._spread, self._kept = space, spread, kept
        self._known = distributions(space)

    def near(
        self, centre: Params, rng: random.Random, *, moving: Container[str] | None = None
    ) -> Params:
        """One of them; what the centre does not say is drawn evenly.

        With `moving`, only the values of those paths differ from the centre's.
        """
        params: Params = {}
        for path in self._space.ordered:
            if active := self._space.active(path, params):
                stays = moving is not None and path not in moving and path in centre
                params[path] = centre[path] if stays else self._value(path, active, centre, rng)
        return params

    def _value(
        self, path: str, active: tuple[int, AnyDimension], centre: Params, rng: random.Random
    ) -> Any:
        index, dimension = active
        distribution = self._known[optuna_name(self._space, path, index)]
        there = self._space.active(path, centre) if path in centre else None
        if there is None or there[0] != index or not dimension.contains(centre[path]):
            return from_optuna(dimension, from_unit(distribution, rng.random()))
        value = to_optuna(dimension, centre[path])
        if isinstance(distribution, CategoricalDistribution):
            others = [choice for choice in distribution.choices if choice != value]
            moved = value if not others or rng.random() < self._kept else rng.choice(others)
        else:
            moved = from_unit(distribution, self._step(to_unit(distribution, value), rng))
        return from_optuna(dimension, moved)

    def _step(self, share: float, rng: random.Random) -> float:
        """Another share of the range; what falls outside is drawn again."""
        for _ in range(20):
            moved = rng.gauss(share, self._spread)
            if 0 <= moved <= 1:
                return moved
        return share


def decayed_weight(
    source: TrialSource,
    trials: Sequence[FrozenTrial],
    objective: Objective,
    *,
    halved_by: float = _HALVED_BY,
) -> float:
    """What is left of a proposer's weight: less with each result, and with each defeat."""
    if sum(trial.state.is_finished() for trial in trials) > _LAST:
        return 0.0
    curves = [(_source(trial), values_by_step(trial, objective)) for trial in trials]
    results = [(origin, curve) for origin, curve in curves if curve]
    own = [curve for origin, curve in results if origin is source]
    others = [curve for origin, curve in results if origin is TrialSource.SAMPLER]
    odds = min(2.0, _odds(own, others, objective))
    halvings = len(results) / (halved_by * max(odds, 0.2))
    return float(min(1.0, odds) ** 2 * 0.5**halvings)


def values_by_step(trial: FrozenTrial, objective: Objective) -> Mapping[float, float]:
    """The trial's values by step, empty until there is one.

    Its final value counts as that of a last step which all completed trials have; what could not
    be trained loses against all that could.
    """
    values: dict[float, float] = dict(trial.intermediate_values.items())
    if trial.state is TrialState.COMPLETE:
        values[inf] = trial.values[0]
    worst = objective.key(inf)
    if values:
        return {_STARTED: -worst, **values}
    return {_STARTED: worst} if trial.state is TrialState.PRUNED else {}


def _source(trial: FrozenTrial) -> TrialSource:
    return TrialSource(trial.system_attrs.get(SOURCE, TrialSource.SAMPLER))


def _odds(
    own: Sequence[Mapping[float, float]],
    others: Sequence[Mapping[float, float]],
    objective: Objective,
) -> float:
    """Odds that one of the own is better than one of the others at the last step of both."""
    won = lost = _ASSUMED_COMPARISONS
    for mine in own:
        for theirs in others:
            if shared := mine.keys() & theirs.keys():
                step = max(shared)
                won += objective.is_better(mine[step], theirs[step])
                lost += objective.is_better(theirs[step], mine[step])
    return won / lost
