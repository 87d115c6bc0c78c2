"""`ensemble.json`: the members of an ensemble and their weights, as the command writes it."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tuner.spec import upgrades
from tuner.spec.config import DatasetConfig, Section
from tuner.spec.messages import Sha256
from tuner.spec.study import Objective


class EnsembleMember(Section):
    """A trial whose model is part of the ensemble, and where that model is."""

    trial: int
    weight: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Its share of the mean of probabilities"
    )
    sha256: Sha256 = Field(description="Of the model file")
    path: str | None = Field(
        default=None, description="The model file, relative to the file that this stands in"
    )
    artifact: int | None = Field(default=None, description="The model on the study's server")
    value: float | None = Field(default=None, description="Of the metric, by itself")

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        """Only below the folder of the document, on any system; a file may come from anyone."""
        if path is None:
            return None
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(path).anchor or ".." in kind(path).parts:
                raise ValueError(
                    f"'{path}' leads out of the folder of this file; name a file below it"
                )
        return path


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
