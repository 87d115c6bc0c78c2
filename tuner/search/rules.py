"""What a study's document means for its search, asked once.

What draws, judges, plans or assigns trials takes a `Rules`; none of it asks the document again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.samplers import BaseSampler

from tuner.configs import catalog, packages
from tuner.configs.recipes import recipe_params
from tuner.configs.traits import SamplerTraits
from tuner.search import rungs
from tuner.search.learning_curve import PruningContext, context_of
from tuner.search.pruners._contract import Pruner
from tuner.search.samplers._contract import JudgingSampler
from tuner.spec.grid import size
from tuner.spec.space import Params
from tuner.spec.study import Strategy, StudySpec

_FEWEST_EPOCHS = 9  # below, `auto` prunes nothing: the first rung would be at epoch 1 or 2
# What `auto` means, by the measurements in benchmarks/README.md.
_SAMPLER, _SAMPLER_OF_SEVERAL = "portfolio", "tpe"
_PRUNER, _NO_PRUNER = "promote", "none"
FALLBACK = "random"  # what draws where the study's sampler only repeats points


@dataclass(frozen=True)
class Rules:
    """The rules of one study's search.

    Each is worked out when it is first asked for, and kept: a heartbeat needs none of them. Those
    that name a component raise UnknownComponent where this release has none of that name.
    """

    spec: StudySpec

    @cached_property
    def packages(self) -> Mapping[str, str]:
        """The packages, with the versions here, that a trial may train with besides segtune."""
        return packages.of_study(self.spec)

    @cached_property
    def withheld(self) -> str | None:
        """Why the study cannot go on here: an installed package that it needs is not allowed."""
        return packages.withheld(self.spec)

    @cached_property
    def sampler_name(self) -> str:
        """The sampler that draws: the study's own, or what `auto` means."""
        name = self.spec.search.sampler.name
        if name != "auto":
            return name
        return _SAMPLER if len(self.spec.objectives) == 1 else _SAMPLER_OF_SEVERAL

    @cached_property
    def sampler_judges(self) -> bool:
        """Whether the study's sampler decides itself which trials go on."""
        return self._own_sampler is not None and self._own_sampler.judges

    @cached_property
    def pruner_name(self) -> str:
        """The pruner that judges: the study's own, or what `auto` means.

        A sampler that judges itself has its own name here.
        """
        name = self.spec.search.pruner.name
        if self.sampler_judges:
            return self.sampler_name
        if name != "auto":
            return name
        if self._own_sampler and not self._own_sampler.learns_from_paused:
            return _NO_PRUNER
        has_rungs = self.is_staged or self.spec.most_epochs >= _FEWEST_EPOCHS
        return _PRUNER if has_rungs else _NO_PRUNER

    @cached_property
    def pruner(self) -> Pruner:
        """The pruner, with the study's options."""
        if self.sampler_judges:
            judging: JudgingSampler = self._build("sampler", self.spec.search.sampler, self, 0)
            return judging.pruner
        pruner: Pruner = self._build("pruner", self._strategy(self.pruner_name, "pruner"))
        return pruner

    @cached_property
    def context(self) -> PruningContext:
        """The context in which trials are compared."""
        return context_of(self.spec)

    @cached_property
    def judged_steps(self) -> frozenset[int] | None:
        """Steps at which trials are compared, so that peers are needed; None means every step."""
        return self.pruner.judged_steps(self.context)

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """The judged steps, rising; empty if nothing is pruned."""
        steps = self.judged_steps
        return tuple(range(1, self.spec.most_epochs)) if steps is None else tuple(sorted(steps))

    @cached_property
    def learning_steps(self) -> tuple[int, ...]:
        """Rungs below the full budget whose results samplers learn from, rising.

        Where every step is judged, or none is named, the usual ladder; where trials differ in
        their epochs none, because what ended is compared by its end alone.
        """
        if self.spec.searches_epochs:
            return ()
        if self.judged_steps is None:
            return rungs.ladder(self.context, eta=3, min_step=None)
        return tuple(sorted(self.judged_steps))

    @cached_property
    def is_staged(self) -> bool:
        """Whether a rung is a training of its own."""
        return self.spec.search.fidelity != "epochs"

    @cached_property
    def draws_ahead(self) -> bool:
        """Whether the sampler is slow: asked outside of the study's lock, and ahead of need."""
        return catalog.traits(SamplerTraits, self.sampler_name).ahead

    @cached_property
    def is_systematic(self) -> bool:
        """Whether the sampler follows a plan, which no draw from elsewhere may interrupt."""
        return catalog.traits(SamplerTraits, self.sampler_name).systematic

    @cached_property
    def is_portfolio(self) -> bool:
        """Whether the sampler lets several others draw, as often as each has earned."""
        return catalog.traits(SamplerTraits, self.sampler_name).portfolio

    @cached_property
    def base_params(self) -> Params:
        """The base recipe's own values of all dimensions that are active and contain them.

        Trial 0 trains these, which is exactly the base recipe. Raises InvalidSpec.
        """
        return recipe_params(self.spec, {})

    @cached_property
    def trial_limit(self) -> int:
        """Trials worth running: `search.trials`, or less where the space has fewer points.

        The base recipe counts once more if it is not one of the points.
        """
        space, trials = self.spec.space, self.spec.search.trials
        count = size(space, trials)
        if count is None:
            return trials
        active = {path for path in space.root if space.active(path, self.base_params)}
        return min(trials, count + (0 if active == set(self.base_params) else 1))

    def is_judged(self, step: int) -> bool:
        """Whether trials are compared at a step."""
        return self.judged_steps is None or step in self.judged_steps

    def sampler(self, seed: int) -> BaseSampler:
        """A new sampler of the study."""
        return self._sampler(self.sampler_name, seed)

    def fallback_sampler(self, seed: int) -> BaseSampler:
        """A new sampler for a study whose own one only repeats points."""
        return self._sampler(FALLBACK, seed)

    def _sampler(self, name: str, seed: int) -> BaseSampler:
        sampler: BaseSampler = self._build("sampler", self._strategy(name, "sampler"), self, seed)
        return sampler

    @cached_property
    def _own_sampler(self) -> SamplerTraits | None:
        return catalog.all_traits(SamplerTraits).get(self.spec.search.sampler.name)

    def _strategy(self, name: str, kind: str) -> Strategy:
        """The study's own choice if it is of that name; else the component with its defaults."""
        own: Strategy = getattr(self.spec.search, kind)
        return own if own.name == name else Strategy(name=name)

    def _build(self, kind: str, strategy: Strategy, *arguments: object) -> Any:
        known = catalog.find(kind, strategy.name).options
        options = {key: known[key].check(value)[0] for key, value in strategy.options.items()}
        return catalog.load(kind, strategy.name).build(*arguments, **options)


def load_default() -> None:
    """Import what `auto` draws by, with all that it needs."""
    for name in (_SAMPLER, _SAMPLER_OF_SEVERAL):
        catalog.load("sampler", name)
