"""Where a study's models are to run once they are trained, and what is measured of them there."""

from typing import Annotated, Literal, Self

from pydantic import Field

from tuner.spec.config import Section, Size

_Side = Annotated[int, Field(ge=16, le=16_384)]


class Deployment(Section):
    """The device, precision, input and runtime at which latency, memory and the like count."""

    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Class of devices that counts; workers of it measure"
    )
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    size: tuple[_Side, _Side] | None = Field(
        default=None, description="Height and width of an image, in pixels; None: dataset.size"
    )
    runtime: Literal["torch", "onnxruntime"] = "torch"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="CPU threads; None: as many as the worker trains with"
    )

    def at(self, size: Size) -> Self:
        """The same with a size, where it does not say one."""
        return self if self.size is not None else self.model_copy(update={"size": size})

    @property
    def key(self) -> str:
        """All of it as a short text, in which two deployments are the same or differ."""
        return " ".join(self._parts)

    def __str__(self) -> str:
        """Say it in words."""
        return ", ".join(self._parts)

    @property
    def _parts(self) -> tuple[str, ...]:
        size = "×".join(map(str, self.size or ()))
        threads = (f"threads {self.threads}",) if self.threads else ()
        return (self.device, self.runtime, self.precision, size, *threads)


class Measurements(Section):
    """What one image costs a trained network, from its pixels to a class for each of them."""

    latency_ms: Annotated[float, Field(gt=0)] = Field(description="Median")
    latency_p95_ms: Annotated[float, Field(gt=0)]
    throughput: Annotated[float, Field(gt=0)] = Field(description="Images per second, one by one")
    memory_mb: Annotated[float, Field(ge=0)] = Field(description="Weights and values at the peak")
    parameters: Annotated[int, Field(ge=0, lt=2**53)]
    macs: Annotated[int, Field(ge=0, lt=2**53)] = Field(description="Multiply-accumulates")

    @property
    def metrics(self) -> dict[str, float]:
        """Each by the name of its metric."""
        return {name: float(value) for name, value in self.model_dump().items()}


class Measured(Section):
    """What a worker has measured, and on which device."""

    measurements: Measurements
    device: Annotated[str, Field(max_length=1000)] = ""
