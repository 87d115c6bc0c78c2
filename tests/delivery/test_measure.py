"""What a network costs: counted as by hand, measured as it runs, remembered once it is."""

import errno
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn

from tests.training.samples import config
from tuner.delivery import costs
from tuner.delivery import measure as measuring
from tuner.delivery.costs import measured
from tuner.delivery.export import to_onnx
from tuner.delivery.live_bytes import LiveBytes
from tuner.delivery.measure import Effort, Timing, measure, timed
from tuner.delivery.measure_onnx import check_runtime, opened
from tuner.delivery.onnx_model import CPU
from tuner.errors import OutOfMemory, PackageMissing, TrainingError
from tuner.spec.deployment import Deployment, Measurements
from tuner.spec.messages import Unfitness
from tuner.training.determinism import DeviceContext
from tuner.training.failures import classify
from tuner.training.network.model import SegmentationModel, build

BRIEF = Effort(warmup=1, least=3, most=3, rounds=1)
SIZE = (32, 48)
ONNX: Any = {"runtime": "onnxruntime"}


class OneConvolution(nn.Module):
    """An encoder that strides once: N×3×H×W to N×8×H/2×W/2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """One feature map."""
        return [self.conv(images)]


class Classifier(nn.Module):
    """A decoder that is one 1×1 convolution to 5 classes."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 5, 1)
        self.error = error

    def forward(self, features: list[Tensor]) -> tuple[Tensor, None]:
        """Logits, without auxiliary ones."""
        if self.error is not None:
            raise self.error
        return self.conv(features[0]), None


def tiny(error: Exception | None = None) -> SegmentationModel:
    """A network of which everything can be computed by hand."""
    encoder: Any = OneConvolution()
    return SegmentationModel(encoder, Classifier(error), mean=[0.0] * 3, std=[1.0] * 3)


def costs_of(model: SegmentationModel, **deployment: Any) -> Measurements:
    """What a network costs, measured briefly."""
    where = Deployment.model_validate(deployment)
    return measure(model, size=SIZE, channels=3, deployment=where, effort=BRIEF)


def test_size_and_operations_are_those_computed_by_hand() -> None:
    """Parameters of both convolutions, and their products at each position of their outputs."""
    found = costs_of(tiny())
    assert found.parameters == 3 * 8 * 9 + 8 * 5 + 5
    positions = (SIZE[0] // 2) * (SIZE[1] // 2)
    assert found.macs == positions * (3 * 8 * 9 + 8 * 5)


class Sweep(nn.Module):
    """A decoder that reads the rows of its features with a recurrent layer of 5 units."""

    def __init__(self, cell: type[nn.GRU | nn.LSTM]) -> None:
        super().__init__()
        self.cell = cell(8, 5, batch_first=True, bidirectional=True)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, None]:
        """One logit for each unit and direction: N×10×h×w."""
        batch, channels, height, width = features[0].shape
        rows = features[0].permute(0, 2, 3, 1).reshape(batch * height, width, channels)
        swept = self.cell(rows)[0]
        return swept.view(batch, height, width, 10).permute(0, 3, 1, 2), None


@pytest.mark.parametrize(("cell", "gates"), [(nn.GRU, 3), (nn.LSTM, 4)])
def test_recurrent_layers_are_counted(cell: Any, gates: int) -> None:
    """Each gate has a product with the input and one with the state, in both directions."""
    encoder: Any = OneConvolution()
    model = SegmentationModel(encoder, Sweep(cell), mean=[0.0] * 3, std=[1.0] * 3)
    positions = (SIZE[0] // 2) * (SIZE[1] // 2)
    recurrent = 2 * gates * (8 * 5 + 5 * 5)
    assert costs_of(model).macs == positions * (3 * 8 * 9 + recurrent)


def test_the_times_agree_with_each_other() -> None:
    """The median is at most the 95th percentile, and throughput is what the times leave."""
    found = costs_of(tiny())
    assert 0 < found.latency_ms <= found.latency_p95_ms
    assert found.throughput <= 3 * 1000 / found.latency_ms


def test_a_runtime_that_is_waited_for_is_timed_both_ways() -> None:
    """Each inference is waited for in its latency; for the throughput, all of them once."""
    calls: list[str] = []
    timing = timed(partial(calls.append, "run"), wait=partial(calls.append, "wait"), effort=BRIEF)
    assert "".join(call[0] for call in calls) == 4 * "rw" + "rrrw"
    assert 0 < timing.latency_ms <= timing.latency_p95_ms


class Clock:
    """Time that passes as inferences take it, one after the other; the last goes on for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *milliseconds: float) -> None:
        self.now, self.made = 0.0, 0
        self._times = milliseconds
        monkeypatch.setattr(measuring, "perf_counter", lambda: self.now)

    def run(self) -> None:
        """One inference."""
        self.now += self._times[min(self.made, len(self._times) - 1)] / 1000
        self.made += 1


EFFORT = Effort(warmup=0, least=8, most=8)


@pytest.mark.parametrize(
    "busy",
    [
        pytest.param([5.0] * 6 + [200.0] * 2, id="tail"),
        pytest.param([5.0] * 3 + [200.0] * 5, id="median"),
        pytest.param([200.0, 400.0] * 4, id="all"),
    ],
)
def test_what_is_timed_while_the_machine_is_busy_does_not_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, busy: list[float]
) -> None:
    """It is timed again until the times agree, and that round is the one that counts."""
    clock = Clock(monkeypatch, *busy, *busy, 4.5)
    timing = timed(clock.run, effort=EFFORT)
    assert clock.made == 3 * 8
    assert timing.latency_ms == pytest.approx(4.5)
    assert timing.latency_p95_ms == pytest.approx(4.5)
    assert timing.throughput == pytest.approx(1000 / 4.5)
    assert caplog.text == ""


def test_calm_times_are_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One odd inference among many is what every machine has."""
    clock = Clock(monkeypatch, *[4.5] * 20, 90.0, 4.5)
    timing = timed(clock.run, effort=EFFORT._replace(least=100, most=100))
    assert (clock.made, timing.latency_ms) == (100, pytest.approx(4.5))


@pytest.mark.parametrize(("slower", "rounds"), [(1, 5), (100, 2)])
def test_a_machine_that_stays_busy_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, slower: int, rounds: int
) -> None:
    """Rounds and seconds have an end; the best round counts, and the log says what it was."""
    whole = [slower * each for each in [10.0] * 4 + [60.0] * 4]
    clock = Clock(monkeypatch, *[0.9 * each for each in whole], *whole * 9)
    timing = timed(clock.run, effort=EFFORT._replace(limit=30.0))
    assert clock.made == rounds * 8
    assert timing.latency_ms == pytest.approx(0.9 * 35 * slower)
    assert f"latency is not steady after {rounds} rounds: median" in caplog.text


def test_threads_that_are_not_said_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a worker trains with, so that workers of a class agree on what a network costs."""
    seen: list[int] = []

    def note(*_: Any, **__: Any) -> Timing:
        seen.append(torch.get_num_threads())
        return Timing(1, 1, 1)

    monkeypatch.setattr(measuring, "timed", note)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        costs_of(tiny())
        costs_of(tiny(), threads=3)
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 3]


def test_a_larger_image_costs_more() -> None:
    """Memory and operations grow with the pixels, parameters do not."""
    small = measure(tiny(), size=SIZE, channels=3, deployment=Deployment(), effort=BRIEF)
    large = measure(tiny(), size=(64, 96), channels=3, deployment=Deployment(), effort=BRIEF)
    assert large.macs == 4 * small.macs
    assert large.memory_mb > 2 * small.memory_mb
    assert large.parameters == small.parameters


def test_memory_is_the_most_that_lives_at_once() -> None:
    """What was freed before does not count, nor does a second look at the same values."""
    with LiveBytes() as live:
        first = torch.zeros(1000)
        del first
        second = torch.zeros(600)
        again = second.view(60, 10)
        third = again + 1.0
        del second
        fourth = third.sum()
    assert live.peak == 4 * (600 + 600 + 1)
    assert fourth == again.numel()


def test_half_the_precision_is_about_half_the_memory() -> None:
    """Weights and values take two bytes each."""
    model = build(config(), mean=[0.0] * 3, std=[1.0] * 3)
    full, half = costs_of(model), costs_of(model, precision="bf16")
    assert half.memory_mb < 0.7 * full.memory_mb
    assert (half.macs, half.parameters) == (full.macs, full.parameters)


def test_the_network_and_torch_stay_as_they_are() -> None:
    """Mode, precision and threads are given back, and no weight changes."""
    model = tiny().train()
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    weights = [each.clone() for each in model.parameters()]
    costs_of(model, precision="bf16", threads=2)
    assert model.training
    assert before == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    assert all(map(torch.equal, weights, model.parameters()))


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory, "does not fit on cpu in fp32"),
        (
            RuntimeError("not implemented for 'Half'"),
            TrainingError,
            "cannot be run on cpu in fp32 at 32×48.*use another deployment.precision",
        ),
    ],
)
def test_what_cannot_run_there_says_so(
    raised: Exception, kind: type[Exception], words: str
) -> None:
    """The message names device, precision and size, and what to change."""
    with pytest.raises(kind, match=words):
        costs_of(tiny(raised))


@pytest.mark.parametrize("deployment", [{"precision": "int8"}, {**ONNX, "precision": "bf16"}])
def test_what_no_study_may_ask_for_is_refused(deployment: dict[str, str]) -> None:
    """Nothing is measured in another way than was asked for."""
    with pytest.raises(TrainingError, match=r"cannot be measured: .*; with runtime .* use fp32"):
        costs_of(tiny(), **deployment)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_network_is_measured_in_onnxruntime(precision: str) -> None:
    """Exported and timed there; its size and operations are those of the network itself."""
    model = tiny().train()
    weights = [each.clone() for each in model.parameters()]
    before = torch.get_num_threads()
    found = costs_of(model, **ONNX, precision=precision, threads=1)
    assert 0 < found.latency_ms <= found.latency_p95_ms
    assert 0 < found.memory_mb < 500
    here = costs_of(model)
    assert (found.macs, found.parameters) == (here.macs, here.parameters)
    assert (model.training, torch.get_num_threads()) == (True, before)
    assert all(map(torch.equal, weights, model.parameters()))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_timed_is_the_network_in_that_precision(precision: str) -> None:
    """One run gives a class for each pixel, those of the network in float32, in asked threads."""
    where = Deployment.model_validate({**ONNX, "precision": precision})
    model = tiny().eval()
    with opened(model, SIZE, where, torch.device("cpu")) as network:
        classes: Any = network.run()
    grey = torch.full((1, 3, *SIZE), 127.0)
    with torch.no_grad():
        right = model(grey)[0].argmax(dim=1)
    same = float((torch.from_numpy(classes[0]) == right).float().mean())
    assert same > (0.999 if precision == "fp32" else 0.8)


def test_what_onnxruntime_cannot_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the exporter raises becomes the trial's error, with what to change."""
    unknown = Mock(side_effect=ValueError("no such operator"))
    monkeypatch.setattr(to_onnx, "write", unknown)
    with pytest.raises(TrainingError, match=r"by onnxruntime on cpu in fp32.*or runtime: torch"):
        costs_of(tiny(), **ONNX)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_worker_without_the_packages_says_which(
    monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """It is what the worker lacks, and the message ends with what installs it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    where = Deployment.model_validate({**ONNX, "precision": precision})
    with pytest.raises(
        PackageMissing, match=r"onnxruntime.*pip install 'segtune\[export\]'"
    ) as got:
        measured(config(), where, channels=3, context=DeviceContext(), effort=BRIEF)
    assert classify(got.value) == Unfitness.PACKAGE


def test_an_onnxruntime_without_cuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would otherwise measure the CPU, and call it a GPU."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CPU])
    with pytest.raises(PackageMissing, match="pip install onnxruntime-gpu"):
        check_runtime(Deployment(device="cuda", runtime="onnxruntime"))


def test_a_full_disk_and_a_lost_device_are_not_the_networks_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trial goes to another worker."""
    faults = {
        Unfitness.MACHINE: OSError(errno.ENOSPC, "No space left on device"),
        Unfitness.DEVICE: RuntimeError("CUDA error: no CUDA-capable device is detected"),
    }
    for kind, fault in faults.items():
        monkeypatch.setattr(to_onnx, "write", Mock(side_effect=fault))
        for asked, raising in (({}, fault), (ONNX, None)):
            with pytest.raises(type(fault)) as caught:
                costs_of(tiny(raising), **asked)
            assert classify(caught.value) == kind


def test_a_network_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another learning rate is the same network; another size, or a broken cache, is not known."""
    asked: list[Any] = []
    found = costs_of(tiny())

    def note(model: SegmentationModel, **rest: Any) -> Measurements:
        asked.append(rest["size"])
        return found

    monkeypatch.setattr(costs, "measure", note)
    context = DeviceContext(cache=tmp_path, threads=1)

    def ask(params: dict[str, Any], **deployment: Any) -> None:
        given = measured(
            config(params), Deployment(**deployment), channels=3, context=context, effort=BRIEF
        )
        assert given.measurements == found

    ask({})
    ask({"optimizer.lr": 0.5})
    assert asked == [SIZE]
    ask({}, size=(64, 64))
    ask({"model.mid_channels": 16})
    assert asked == [SIZE, (64, 64), SIZE]
    (tmp_path / "measurements.json").write_text("{")
    ask({})
    assert len(asked) == 4
