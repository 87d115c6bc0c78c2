"""`ensemble.json`: the members of an ensemble and their weights, as the command writes it."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tuner.spec import upgrades
from tuner.spec.config import DatasetConfig, Section
from tuner.spec.study import Objective


class EnsembleMember(Section):
    """A trial whose model is part of the ensemble, and where that model is."""

    trial: int
    weight: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Its share of the mean of probabilities"
    )
    sha256: str = Field(description="Of the model file")
    path: str | None = Field(
        default=None, description="The model file, relative to the file that this stands in"
    )
    artifact: int | None = Field(default=None, description="The model on the study's server")
    value: float | None = Field(default=None, description="Of the metric, by itself")


class SingleBest(Section):
    """The best of the models by itself, on the same images."""

    trial: int
    value: float


class HeldOut(Section):
    """What selecting gains on images that it has not seen.

    The images are halved twice over: members are selected on one half, and scored on the other
    beside the model that is the best there by itself; both ways, averaged.
    """

    value: float
    single: float


class EnsembleDocument(Section):
    """Members, what they reach together on the validation split, and what one reaches there."""

    kind: Literal["ensemble"] = "ensemble"
    study: str
    dataset: DatasetConfig = Field(description="On which the members were trained and selected")
    metric: Objective
    value: float = Field(description="Of the ensemble on the validation split that selected it")
    single_best: SingleBest
    held_out: HeldOut | None = None
    considered: int = Field(description="Models that could have become members")
    images: int = Field(description="Of the validation split")
    members: tuple[EnsembleMember, ...] = Field(min_length=1)
    spec_version: int = upgrades.SPEC_VERSION

    @field_validator("spec_version")
    @classmethod
    def _check_version(cls, version: int) -> int:
        if upgrades.is_newer(version):
            raise ValueError(upgrades.newer(version))
        return version

    @property
    def classes(self) -> tuple[str, ...]:
        """Outputs in order."""
        return self.dataset.classes

    @model_validator(mode="after")
    def _check_weights(self) -> "EnsembleDocument":
        total = sum(member.weight for member in self.members)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the weights of the members add up to {total:g}, and must to 1")
        return self
