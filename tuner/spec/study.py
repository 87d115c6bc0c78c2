"""`StudySpec`: what a user submits, as JSON or YAML."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tuner.spec import upgrades
from tuner.spec.config import DatasetConfig, DirectedMetric, OpenSection, Recipe, Section
from tuner.spec.deployment import Deployment
from tuner.spec.examples import EXAMPLES, MOST
from tuner.spec.kinds import MOST_GPUS
from tuner.spec.metrics import MEASURED, MINIMIZED
from tuner.spec.space import SearchSpace

EPOCHS = "training.epochs"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _check_name(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            f"the name {value} is a number; a name is a text, as in run-{value}, because numbers "
            "are ids"
        )
    if isinstance(value, str) and not re.fullmatch(_NAME[1:-1], value):
        raise ValueError(
            "a name begins with one of A-Z, a-z, 0-9, goes on with these and '.', '_', '-', and "
            f"has 100 characters at most, not {value[:120]!r}"
        )
    return value


Name = Annotated[str, Field(pattern=_NAME), BeforeValidator(_check_name)]


class Objective(DirectedMetric):
    """A metric to optimise, and the epoch of a training at which its value counts."""

    direction: Literal["maximize", "minimize"] = Field(
        default="maximize",
        description="Left out of a metric that `deployment` is for: the way in which it is better",
    )
    at: Literal["last", "best"] = Field(
        default="last",
        exclude_if=lambda value: value == "last",  # releases before it do not know the key
        description="The epoch that a trial's metrics and model are of: its last, or its best by "
        "this metric, the earlier one if they are equal; only of the first objective",
    )

    @model_validator(mode="before")
    @classmethod
    def _direct(cls, value: Any) -> Any:
        """Fill in the direction of what is measured, which leaves no choice."""
        is_open = isinstance(value, Mapping) and "direction" not in value
        if is_open and value.get("metric") in list(MEASURED) and value["metric"] in MINIMIZED:
            return {**value, "direction": "minimize"}
        return value

    @property
    def counts_best(self) -> bool:
        """Whether a trial's best epoch counts, and not its last."""
        return self.at == "best"

    def key(self, value: float) -> float:
        """The value as a number of which less is better."""
        return -value if self.direction == "maximize" else value


class Constraint(Section):
    """A bound that a feasible trial's metric keeps."""

    metric: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "Constraint":
        if self.min is None and self.max is None:
            raise ValueError(f"a constraint on {self.metric} needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def violation(self, value: float) -> float:
        """How far the value lies outside the bounds; 0 within them."""
        below = self.min - value if self.min is not None else 0.0
        above = value - self.max if self.max is not None else 0.0
        return max(below, above, 0.0)


class Strategy(OpenSection):
    """A sampler or pruner by name, with its options beside it; a bare name is enough."""

    name: str = "auto"


def _as_strategy(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


StrategyOrName = Annotated[Strategy, BeforeValidator(_as_strategy)]


class Confirmation(Section):
    """Re-training of the leaders with fresh seeds."""

    top: Annotated[int, Field(ge=1, le=100)] = 3
    seeds: Annotated[int, Field(ge=1, le=100)] = 3


class Prior(Section):
    """What is expected to be good: tried first, and drawn around while that pays."""

    configs: tuple[dict[str, Any], ...] = Field(
        default=(),
        max_length=100,
        description="Values by path of the space, each on top of the base recipe",
    )
    presets: tuple[str, ...] = Field(
        default=(), description="Presets whose recipes to try, one of each section at a time"
    )
    weight: Annotated[float, Field(ge=0, le=0.8)] = Field(
        default=0.5, description="Share of the first draws that are drawn around them"
    )

    @model_validator(mode="after")
    def _check(self) -> "Prior":
        if not self.configs and not self.presets:
            raise ValueError("a prior names configs, presets or both")
        return self


class SearchSettings(Section):
    """How params are drawn, which trials are stopped, and what may be spent."""

    sampler: StrategyOrName = Strategy()
    pruner: StrategyOrName = Strategy()
    fidelity: Literal["epochs", "data", "size"] = Field(
        default="epochs",
        description="What rungs save: later epochs; or images, or pixels, each rung trained anew",
    )
    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    parallel: Annotated[int, Field(ge=1, le=100_000)] = 8
    max_hours: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Device hours that all trials together may train"
    )
    max_wall_hours: Annotated[float, Field(gt=0, le=1_000_000)] | None = Field(
        default=None,
        description="Hours from the first trial's start to the study's end, pauses included",
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    max_failures: Annotated[int, Field(ge=1)] = Field(
        default=5,
        description="Trials that may fail before any succeeded, then the study fails; after three "
        "that failed alike it does at once",
    )
    confirm: Confirmation | None = None
    prior: Prior | None = None
    warm_start: tuple[Name, ...] = Field(
        default=(), max_length=8, description="Finished studies whose results guide the first draws"
    )


class Resources(Section):
    """What a worker must have, and how often a trial may lose one."""

    gpus: Annotated[int, Field(ge=0, le=MOST_GPUS)] = Field(
        default=0,
        description="0: any worker, its GPU is used if it has one; 1: only workers with a GPU; "
        "more: each trial is trained on so many GPUs of one worker, which share its batch",
    )
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Memory that the worker's device must have"
    )
    labels: dict[str, str] = Field(default_factory=dict)
    attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=5, description="Leases a trial may lose before it counts as failed"
    )


class Retention(Section):
    """Which files stay of trials that have ended; those of all others always do.

    A failed trial keeps its checkpoint too, as it can be tried again.
    """

    best: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="Completed trials whose model and checkpoint stay: so many of the best, and "
        "those that confirm them; null: all",
    )
    last: bool = Field(
        default=True,
        description="Whether the last checkpoint stays of trials that were pruned or cancelled",
    )


class StudySpec(Section):
    """A search: data set, objectives, space and budget."""

    name: Name
    dataset: DatasetConfig
    objectives: tuple[Objective, ...] = Field(
        default=(Objective(metric="miou"),), min_length=1, max_length=4
    )
    constraints: tuple[Constraint, ...] = ()
    deployment: Deployment | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # releases before it refuse a key they do not know
        description=f"Where its models are to run; needed for {', '.join(MEASURED)}",
    )
    base: Recipe = Recipe()
    space: SearchSpace = SearchSpace({})
    search: SearchSettings = SearchSettings()
    resources: Resources = Resources()
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    weight: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=1.0, description="Share of the fleet among studies of equal priority"
    )
    preemptible: bool = Field(
        default=True,
        exclude_if=lambda value: value is True,  # releases before it do not know the key
        description="Whether its running trials make room, at a checkpoint, for studies of higher "
        "priority",
    )
    examples: Annotated[int, Field(ge=0, le=MOST)] = Field(
        default=EXAMPLES,
        exclude_if=lambda value: value == EXAMPLES,  # releases before it do not know the key
        description="Validation images whose predictions are kept to look at; 0: none",
    )
    keep: Retention = Field(
        default=Retention(),
        exclude_if=lambda value: value == Retention(),  # releases before it do not know the key
        description="Which files stay of trials that have ended",
    )
    spec_version: Annotated[int, Field(ge=1)] = Field(
        default=upgrades.SPEC_VERSION,
        description="Version of this language; a study without it is of this release's",
    )

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, document: Any) -> Any:
        """Read what says that it is of an earlier version as what it meant there."""
        if not isinstance(document, Mapping):
            return document
        version = upgrades.version_of(document, default=upgrades.SPEC_VERSION)
        if version >= upgrades.SPEC_VERSION:
            return document
        return upgrades.upgraded(document, version, upgrades.STUDY_UPGRADES)

    @field_validator("spec_version")
    @classmethod
    def _check_version(cls, version: int) -> int:
        if upgrades.is_newer(version):
            raise ValueError(upgrades.newer(version))
        return version

    @model_validator(mode="after")
    def _check_objectives(self) -> "StudySpec":
        names = [objective.metric for objective in self.objectives]
        if len(set(names)) < len(names):
            raise ValueError(f"objectives must differ: {', '.join(names)}")
        return self

    @property
    def objective(self) -> Objective:
        """The first objective: the one that charts and the single best trial use."""
        return self.objectives[0]

    @property
    def best_by(self) -> DirectedMetric | None:
        """What chooses the epoch that a trial's model is of; None: it is the last."""
        first = self.objective
        if not first.counts_best:
            return None
        return DirectedMetric(metric=first.metric, direction=first.direction)

    def objective_values(self, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
        """The metrics that the objectives name, or None while one is missing."""
        names = [objective.metric for objective in self.objectives]
        return tuple(metrics[name] for name in names) if all(n in metrics for n in names) else None

    @property
    def deployed(self) -> Deployment | None:
        """Where its models are to run, with the size of an image; None if it does not say."""
        return None if self.deployment is None else self.deployment.at(self.dataset.size)

    @property
    def measured_constraints(self) -> tuple[Constraint, ...]:
        """Constraints on what a network costs, which is known before it is trained."""
        return tuple(each for each in self.constraints if each.metric in MEASURED)

    @property
    def searches_epochs(self) -> bool:
        """Whether trials differ in how long they train, so that no step is the same for all."""
        return EPOCHS in self.space.root

    @property
    def most_epochs(self) -> int:
        """Epochs of the longest training: of those that can be drawn, and the base recipe's."""
        return max(self.base.training.epochs, self.most_drawn_epochs)

    @property
    def most_drawn_epochs(self) -> int:
        """Epochs that a draw has at most: the base recipe's where none are drawn."""
        searched = self.space.root.get(EPOCHS, ())
        found = [int(c) for d in searched for c in d.corners() if isinstance(c, int | float)]
        if all(dimension.when for dimension in searched):
            found.append(self.base.training.epochs)
        return max(found, default=1)

    def dump(self) -> dict[str, Any]:
        """The study as plain JSON values."""
        return self.model_dump(mode="json")
