"""Settings of a fleet: `SEGTUNE_FLEET_*` variables, a `.env` file, or arguments."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

FleetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class FleetSettings(BaseSettings):
    """How many workers there are to be, and what each takes of the engine."""

    model_config = SettingsConfigDict(
        env_prefix="SEGTUNE_FLEET_", env_file=".env", extra="ignore", frozen=True
    )

    driver: str = Field("local", description="Engine that the workers run on")
    name: FleetName | None = Field(None, description="What its workers' names begin with")
    min: int = Field(0, ge=0, le=10_000, description="Workers that stay without work")
    max: int = Field(32, ge=0, le=10_000, description="Workers that there are at most")
    slots: int = Field(
        1, ge=1, le=64, description="Trials that a worker trains at once, if they fit"
    )
    cooldown: float = Field(300, ge=0, description="Seconds with less work before it shrinks")
    gpu_hours: float | None = Field(None, gt=0, description="Device hours after which all end")
    interval: float = Field(10, gt=0, le=3600, description="Seconds between two looks")
    gpus: float = Field(1, ge=0, le=64, description="GPUs of a worker, as the engine counts them")
    cpus: float = Field(1, gt=0, le=1024, description="CPUs of a worker, as the engine counts them")

    template: Path | None = Field(
        None, description="File with the Job that a worker on Kubernetes is made of"
    )
    script: Path | None = Field(
        None, description="Batch script of a worker on Slurm; the one that ships if not given"
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min} and max {self.max}; min must not be above max")
        if self.slots > 1 and self.gpus > 1:
            raise ValueError(
                f"slots is {self.slots} and gpus {self.gpus:g}; a worker trains several trials on "
                "a GPU, or a trial on several: set one of them to 1"
            )
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ValueError(
                f"gpus is {self.gpus:g}; a worker takes a share of one GPU, or several whole ones"
            )
        return self
