"""What a network costs on a GPU: times that wait for it, and what its allocator gave out."""

import pytest
import torch

from tests.gpu.runs import config
from tuner.delivery.measure import Effort, measure
from tuner.delivery.measure_onnx import CUDA
from tuner.errors import OutOfMemory, PackageMissing
from tuner.spec.deployment import Deployment, Measurements
from tuner.training.network.model import build

BRIEF = Effort(warmup=2, least=5, most=10)


def costs(device: str, size: tuple[int, int], precision: str = "fp32") -> Measurements:
    """What the tests' network costs on the GPU."""
    model = build(config(), mean=[0.0] * 3, std=[1.0] * 3)
    where = Deployment.model_validate({"device": "cuda", "precision": precision})
    return measure(model, size=size, channels=3, deployment=where, effort=BRIEF, device=device)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_gpu_is_measured(device: str, precision: str) -> None:
    """Each number is there, in each precision; the device's memory is given back."""
    before = torch.cuda.memory_allocated(device)
    found = costs(device, (256, 256), precision)
    assert 0 < found.latency_ms <= found.latency_p95_ms
    assert found.throughput > 0.5 * 1000 / found.latency_p95_ms
    assert torch.cuda.memory_allocated(device) == before


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_gpu_is_measured_in_onnxruntime(device: str, precision: str) -> None:
    """Each number is there where onnxruntime has CUDA; else the worker says what it lacks."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    model = build(config(), mean=[0.0] * 3, std=[1.0] * 3)
    where = Deployment.model_validate(
        {"device": "cuda", "precision": precision, "runtime": "onnxruntime"}
    )

    def found() -> Measurements:
        return measure(
            model, size=(256, 256), channels=3, deployment=where, effort=BRIEF, device=device
        )

    if CUDA not in runtime.get_available_providers():
        with pytest.raises(PackageMissing, match="pip install onnxruntime-gpu"):
            found()
        return
    costs_there = found()
    assert 0 < costs_there.latency_ms <= costs_there.latency_p95_ms
    assert costs_there.memory_mb > 0


def test_memory_is_that_of_one_inference(device: str) -> None:
    """Larger images take more, and what others hold on the device does not count."""
    small = costs(device, (256, 256))
    held = torch.zeros(64 * 2**20, device=device)
    large = costs(device, (512, 512))
    again = costs(device, (256, 256))
    assert held.numel() > 0
    assert large.memory_mb > small.memory_mb
    assert again.memory_mb == pytest.approx(small.memory_mb, rel=0.5)
    assert again.macs == small.macs


def test_an_image_that_does_not_fit_says_so(device: str) -> None:
    """It is out of memory, with device, precision and size."""
    share = (torch.cuda.memory_reserved() + 24 * 2**20) / (
        torch.cuda.get_device_properties(0).total_memory
    )
    torch.cuda.set_per_process_memory_fraction(share)
    with pytest.raises(OutOfMemory, match="does not fit on cuda:0 in fp32 at 2048×2048"):
        costs(device, (2048, 2048))
