"""Draws the params of one trial through an in-memory Optuna study made of our observations."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from tuner.configs.seeds import draw_seed
from tuner.optuna_encoding import distributions, from_optuna, optuna_name
from tuner.search import proposers
from tuner.search.credit import SOURCE, Earnings
from tuner.search.networks import Networks
from tuner.search.observation import Observation, Translator, by_number, open_study
from tuner.search.rules import FALLBACK, Rules
from tuner.search.samplers._contract import Portfolio
from tuner.search.transfer import SourceTrial, WarmStartProposer
from tuner.spec.grid import points, size
from tuner.spec.sources import DRAWN_BY
from tuner.spec.space import Params
from tuner.spec.states import TrialSource
from tuner.spec.study import StudySpec

_TRIES = 3  # draws by the study's own sampler before a new point is looked for in other ways
_RANDOM_TRIES = 20
_LISTABLE = 20_000  # a finite space up to this size is searched for its last free points


@dataclass(frozen=True, slots=True)
class Draw:
    """Params of one trial by path, and what the sampler wants to find again with it.

    `duplicate_of` is the number of an earlier trial with the same params: the space, or what
    can be found of it, is used up.
    """

    params: Params
    attrs: Mapping[str, Any] = field(default_factory=dict)
    duplicate_of: int | None = None

    @property
    def source(self) -> TrialSource:
        """Where the params come from: the study's sampler, or a proposer beside it."""
        return TrialSource(self.attrs.get(SOURCE, TrialSource.SAMPLER))


class Suggester:
    """One study's sampler with all it has seen; extended draw by draw, safe for threads.

    Nothing that a draw depends on lives here alone: a new process that is given the same
    observations, in any order, draws the same params. A network that broke a bound before it was
    trained is drawn again only where nothing else is found. `earlier` are the trials of each study
    that this one is warm-started from.
    """

    def __init__(self, rules: Rules, earlier: Sequence[Sequence[SourceTrial]] = ()) -> None:
        self._rules, self._spec = rules, rules.spec
        spec = rules.spec
        self._proposers = _proposers(spec, earlier)
        self._study, self._storage = open_study(spec)
        self._translator = Translator(spec)
        self._distributions = distributions(spec.space)
        self._taken: dict[str, int] = {}
        self._networks = Networks(spec)
        self._lock = Lock()

    def draw(
        self, observations: Iterable[Observation], number: int, *, quick: bool = False
    ) -> Draw:
        """Params for the trial of that number.

        `observations` are the trials that are new or changed since the last draw. Trial 0 is
        the base recipe. Where several samplers share the draws, a slow one makes no `quick` draw.
        """
        with self._lock:
            self._take_in(observations)
            if number == 0:
                return Draw(dict(self._rules.base_params))
            return self._candidate() or self._new_draw(number, quick=quick)

    def earnings(self, observations: Iterable[Observation]) -> dict[str, Earnings]:
        """What each source of draws has earned, and its share of those to come, by its name.

        `observations` as for a draw. Nothing where one sampler draws by itself.
        """
        if not self._rules.is_portfolio:
            return {}
        with self._lock:
            self._take_in(observations)
            sampler = cast(Portfolio, self._rules.sampler(seed=0))
            trials = self._study.get_trials(deepcopy=False)
            beside = proposers.shares(self._proposers, trials)
            left = 1 - sum(beside)
            found = {
                name: replace(earned, share=left * earned.share)
                for name, earned in sampler.earnings(self._study).items()
            }
        for proposer, share in zip(self._proposers, beside, strict=True):
            known = found.get(proposer.source, Earnings())
            found[proposer.source] = replace(known, share=known.share + share)
        return found

    def _take_in(self, observations: Iterable[Observation]) -> None:
        for seen in by_number(observations):
            self._storage.put(self._translator.trial(seen))
            key = point_key(seen.params)
            self._taken[key] = min(seen.number, self._taken.get(key, seen.number))
            if seen.breaks_bound:
                self._networks.close(seen.params)

    def _candidate(self) -> Draw | None:
        """The first point that a proposer wants to see tried and that no trial has."""
        for proposer in self._proposers:
            for params in proposer.candidates:
                if point_key(params) not in self._taken:
                    return Draw(params, {SOURCE: proposer.source})
        return None

    def _new_draw(self, number: int, *, quick: bool) -> Draw:
        draw = Draw({})
        for attempt in range(_TRIES + _RANDOM_TRIES):
            if attempt == _TRIES and (listed := self._listed(number)):
                return listed
            proposed = self._proposed(number, attempt) if attempt < _TRIES else None
            draw = proposed or self._ask(number, attempt, quick=quick)
            is_new = self._earlier(draw.params, number) is None
            if is_new and not self._networks.is_closed(draw.params):
                return draw
        return replace(draw, duplicate_of=self._earlier(draw.params, number))

    def _earlier(self, params: Params, number: int) -> int | None:
        """Number of another trial with these params."""
        other = self._taken.get(point_key(params))
        return None if other == number else other

    def _listed(self, number: int) -> Draw | None:
        """One of the free points of a space small enough to list, if it has one."""
        count = size(self._spec.space, _LISTABLE + 1)
        if count is None or count > _LISTABLE:
            return None
        free = [p for p in points(self._spec.space) if self._earlier(p, number) is None]
        if not free:
            return None
        seed = draw_seed(self._spec.search.seed, number, _TRIES)
        rng = random.Random(seed)
        params = rng.choice(free)
        for _ in range(_RANDOM_TRIES):  # one that can be trained, if there are some
            if not self._networks.is_closed(params):
                break
            params = rng.choice(free)
        return Draw(params, self._by_fallback)

    def _proposed(self, number: int, attempt: int) -> Draw | None:
        """A proposer's draw if it is its turn; a systematic sampler is never interrupted."""
        if not self._proposers or self._rules.is_systematic:
            return None
        rng = random.Random(draw_seed(self._spec.search.seed, number, attempt))
        proposer = proposers.choose(self._proposers, self._study.get_trials(deepcopy=False), rng)
        return Draw(proposer.propose(rng), {SOURCE: proposer.source}) if proposer else None

    def _ask(self, number: int, attempt: int, *, quick: bool) -> Draw:
        seed = draw_seed(self._spec.search.seed, number, attempt)
        rules = self._rules
        is_own = attempt < _TRIES
        sampler = rules.sampler(seed) if is_own else rules.fallback_sampler(seed)
        if quick and is_own and rules.is_portfolio:
            cast(Portfolio, sampler).be_quick()
        self._study.sampler = sampler
        self._storage.next_number = number
        try:
            trial = self._study.ask()
            params = self._suggest(trial)
            attrs = _lasting(self._storage.get_trial(number).system_attrs)
            return Draw(params, attrs if is_own else {**attrs, **self._by_fallback})
        finally:
            self._storage.withdraw()

    @property
    def _by_fallback(self) -> Mapping[str, Any]:
        """What a trial says that none of the study's own samplers drew."""
        return {DRAWN_BY: FALLBACK} if self._rules.is_portfolio else {}

    def _suggest(self, trial: Trial) -> Params:
        params: Params = {}
        space = self._spec.space
        for path in space.ordered:
            active = space.active(path, params)
            if active is None:
                continue
            name = optuna_name(space, path, active[0])
            value = _suggest_one(trial, name, self._distributions[name])
            params[path] = from_optuna(active[1], value)
        return params


def point_key(params: Mapping[str, Any]) -> str:
    """The same text for the same params, however they are ordered."""
    return json.dumps(params, sort_keys=True)


def _proposers(
    spec: StudySpec, earlier: Sequence[Sequence[SourceTrial]]
) -> tuple[proposers.Proposer, ...]:
    warm = [WarmStartProposer(spec, trials, among=len(earlier)) for trials in earlier if trials]
    return (*warm,) if spec.search.prior is None else (proposers.PriorProposer(spec), *warm)


def _suggest_one(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]  # one of two
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, low, high, step=distribution.step, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)


def _lasting(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes worth storing: TPE's notes are for processes that share unfinished draws."""
    return {key: value for key, value in attrs.items() if not key.startswith("tpe:")}
