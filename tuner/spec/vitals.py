"""What a worker says of itself with a heartbeat, besides that it lives."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tuner.spec.logs import tail

Gigabytes = Annotated[float, Field(ge=0, le=1e6)]
LogTail = Annotated[str, Field(max_length=131_072), AfterValidator(tail)]


class _Said(BaseModel):
    """A frozen part of what a worker says; what a later release adds to it is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Usage(_Said):
    """How busy a worker's device is, and its memory; None is what cannot be known there."""

    utilisation: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Share of the time in which the device, or the CPU, was at work"
    )
    memory_gb: Gigabytes | None = Field(
        default=None, description="Memory in use: of the GPU, or of the machine"
    )
    memory_total_gb: Gigabytes | None = None
    process_gb: Gigabytes | None = Field(
        default=None, description="Main memory of the trainer and the processes it has started"
    )


class Vitals(_Said):
    """The body of a heartbeat; all of it may be left out."""

    usage: Usage | None = None
    log: LogTail | None = Field(
        default=None,
        description="The trainer's last output, where it changed: 200 lines and 16 KiB are kept",
    )
