"""Several samplers, each of which draws as often as its latest draws have earned.

Random draws first; then TPE on a rung, a Gaussian process and random draws. Whose draws are rarer
in how well they do among all before them makes more of those to come (`tuner.search.credit`). None
makes less than some, because models can be wrong in ways that credit does not show: they repeat
what is good, where random draws would have found better. The trials alone decide the shares, the
draw's seed whose turn it is.
"""

import random
from collections.abc import Callable, Mapping
from functools import cache, partial
from math import inf
from typing import Annotated, Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import Field

from tuner.search.credit import DrawnTrials, Earnings, ShareRule, earnings
from tuner.search.in_memory_storage import InMemoryStorage
from tuner.search.rules import Rules
from tuner.search.samplers import gp as gaussian_process
from tuner.search.samplers import rung_tpe
from tuner.spec.sources import DRAWN_BY

NEEDS = ("scipy",)
OBJECTIVES = "one"
AHEAD = True  # one of them is slow
PORTFOLIO = True

_GP, _TPE, _RANDOM = "gp", "rung_tpe", "random"
_SLOW = frozenset({_GP})
_FIRST_RANDOM = 0.05  # of the draws, before anything is earned and the least is given
_HALVED_BY = 40.0  # trials after which a result counts half
_ASSUMED = 5.0  # results of the mean credit that each begins with
_SHARPNESS = 3.0


def build(
    rules: Rules,
    seed: int,
    *,
    gp: Annotated[float, Field(ge=0, le=1)] | None = None,
    forgets: bool = True,
    least: Annotated[float, Field(ge=0, le=1)] = 0.25,
    crowd: Annotated[int, Field(ge=0)] = 2,
) -> BaseSampler:
    """Give the sampler.

    `gp` is a fixed share for the Gaussian process, with the rest for TPE, whatever the next two
    say; None: shares are earned. Unless it `forgets`, the last hundred results count alike. A share
    that is less than `least` is raised to that before they are made a whole again, so that each has
    between a sixth and two thirds by default. `crowd` is that of `gp`.
    """
    members: dict[str, Callable[[], BaseSampler]] = {
        _GP: partial(gaussian_process.build, rules, seed, crowd=crowd),
        _TPE: partial(rung_tpe.build, rules, seed),
        _RANDOM: partial(RandomSampler, seed=seed),
    }
    return PortfolioSampler(rules, seed, members, _rule(gp, forgets=forgets, least=least))


def _rule(gp: float | None, *, forgets: bool, least: float) -> ShareRule:
    halved_by = _HALVED_BY if forgets else inf
    if gp is not None:
        return ShareRule({_GP: gp, _TPE: 1 - gp, _RANDOM: 0.0}, halved_by, _ASSUMED, 0.0, 0.0)
    half = (1 - _FIRST_RANDOM) / 2
    first = {_GP: half, _TPE: half, _RANDOM: _FIRST_RANDOM}
    return ShareRule(first, halved_by, _ASSUMED, _SHARPNESS, least)


class PortfolioSampler(BaseSampler):
    """One of the members draws; the trial says which one did."""

    def __init__(
        self,
        rules: Rules,
        seed: int,
        members: Mapping[str, Callable[[], BaseSampler]],
        rule: ShareRule,
    ) -> None:
        # Where nothing is learnt from rungs, draws have still done well or badly at them.
        steps = rules.learning_steps or sorted(rules.judged_steps or ())
        self._steps = gaussian_process.thinned(steps)
        # To build one takes as long as a random draw, and most draws need a single one.
        self._members = {name: cache(build) for name, build in members.items()}
        self._rule = rule
        # Proposers have looked at the first number of the seed itself.
        self._rng = random.Random(f"turn {seed}")
        self._turn = _RANDOM
        self._is_quick = False

    def be_quick(self) -> None:
        """Let the Gaussian process make no draw from now on, and TPE where it has no share."""
        self._is_quick = True

    def reseed_rng(self) -> None:
        """Begin other random numbers."""
        self._rng = random.Random()
        for member in self._members.values():
            member().reseed_rng()

    def earnings(self, study: Study) -> dict[str, Earnings]:
        """What each member has earned so far."""
        direction = study.directions[0]

        def make() -> DrawnTrials:
            return DrawnTrials(self._steps, direction)

        storage = study._storage
        if isinstance(storage, InMemoryStorage):
            drawn = storage.kept("drawn", make)
        else:
            drawn = make()
            drawn.update(study.get_trials(deepcopy=False))
        return earnings(drawn.drawn_by, drawn.values, self._rule)

    def _shares(self, study: Study) -> dict[str, float]:
        """How often each may draw now, in proportion to the others."""
        shares = {name: earned.share for name, earned in self.earnings(study).items()}
        if not self._is_quick:
            return shares
        quick = {name: share for name, share in shares.items() if name not in _SLOW}
        return quick if any(quick.values()) else {_TPE: 1.0}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Choose who draws, and let it look at the study."""
        shares = self._shares(study)
        (self._turn,) = self._rng.choices(list(shares), list(shares.values()))
        self._members[self._turn]().before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What the member whose turn it is draws together."""
        return self._members[self._turn]().infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Its values; where it has none, the draw is a random one, and counts as such."""
        self._raise_error_if_multi_objective(study)
        found = self._members[self._turn]().sample_relative(study, trial, search_space)
        drawn_by = self._turn if found else _RANDOM
        study._storage.set_trial_system_attr(trial._trial_id, DRAWN_BY, drawn_by)
        return found

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value of what was not drawn together."""
        self._raise_error_if_multi_objective(study)
        return self._members[_RANDOM]().sample_independent(
            study, trial, param_name, param_distribution
        )
