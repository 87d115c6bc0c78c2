"""Where a study's models are to run once they are trained, and what is measured of them there."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field

from tuner.spec.config import Section, Size

_Side = Annotated[int, Field(ge=16, le=16_384)]


class Deployment(Section):
    """The device, precision, input and runtime at which latency, memory and the like count."""

    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="Class of devices that counts; workers of it measure"
    )
    precision: Literal["fp32", "fp16", "bf16", "int8"] = Field(
        default="fp32",
        description="torch: fp32, fp16, bf16; onnxruntime: fp32, on cpu int8, on cuda fp16",
    )
    size: tuple[_Side, _Side] | None = Field(
        default=None, description="Height and width of an image, in pixels; None: dataset.size"
    )
    runtime: Literal["torch", "onnxruntime"] = "torch"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="CPU threads; None: 1, so that workers agree"
    )

    def at(self, size: Size) -> Self:
        """The same with a size and, on a CPU, a number of threads, where it does not say them."""
        threads = self.threads or (1 if self.device == "cpu" else None)
        return self.model_copy(update={"size": self.size or size, "threads": threads})

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


# What each runtime computes in, as it is asked for: not what it converts, and computes otherwise.
_RUNS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("torch", "cpu"): ("fp32", "fp16", "bf16"),
    ("torch", "cuda"): ("fp32", "fp16", "bf16"),
    ("onnxruntime", "cpu"): ("fp32", "int8"),
    ("onnxruntime", "cuda"): ("fp32", "fp16"),
}
_WHY_NOT = {
    ("torch", "cpu", "int8"): "int8 is run by onnxruntime; add runtime: onnxruntime",
    ("torch", "cuda", "int8"): "int8 is run by onnxruntime on a CPU; write device: cpu, runtime: "
    "onnxruntime",
    ("onnxruntime", "cpu", "fp16"): "onnxruntime computes fp16 files in fp32 on a CPU, between "
    "conversions",
    ("onnxruntime", "cpu", "bf16"): "ONNX has no convolution in bf16",
    ("onnxruntime", "cuda", "bf16"): "ONNX has no convolution in bf16",
    ("onnxruntime", "cuda", "int8"): "onnxruntime computes the convolutions of int8 files in float "
    "on cuda, between conversions; int8 is for device: cpu",
}


def unsupported(deployment: Deployment) -> str | None:
    """Why a network cannot be run in this precision there, and what can; None where it can."""
    runtime, device, precision = deployment.runtime, deployment.device, deployment.precision
    runs = _RUNS[runtime, device]
    if precision in runs:
        return None
    can = " or ".join((", ".join(runs[:-1]), runs[-1]))
    why = _WHY_NOT[runtime, device, precision]
    return f"{why}; with runtime {runtime} on {device} use {can}"


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
