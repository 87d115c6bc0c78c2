"""Batches that do not fit: halved, accumulated to the same gradients, remembered, or refused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import samples
from tuner.errors import Diverged, OutOfMemory, TrainingError
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Outcome
from tuner.training import checkpoint, memory
from tuner.training import train as training
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.failures import classify
from tuner.training.ranks import Rank
from tuner.training.session import Session
from tuner.training.train import MODEL, optimizer_step, probe, train
from tuner.training.train_state import TrainState


def sizeable(params: Mapping[str, Any]) -> TrialConfig:
    """A config of a network that is large enough for limits in MiB."""
    return samples.config({"model.encoder": "mobilenet_v2", **params})


TIGHT = 18  # MiB: two images of `CONFIG` fit, four do not
TINY = 4  # MiB: not even one fits
CONFIG = sizeable({"training.batch_size": 4})
FAST = sizeable({"training.batch_size": 4, "training.determinism": "fast"})
STILL = {"model.dropout": 0.0, "model.norm": "frozen", "training.ema": None}


def work(limit: int, error: Exception | None = None) -> Callable[[int], str]:
    """Work that fits up to a size."""

    def attempt(size: int) -> str:
        if size > limit:
            raise error or torch.OutOfMemoryError("CUDA out of memory")
        return f"done with {size}"

    return attempt


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_network_that_does_not_fit_says_so(error: Exception) -> None:
    """What cannot be made smaller is named, with the device; other errors pass as they are."""
    unfit = pytest.raises(OutOfMemory, match="cpu does not hold the network")
    with unfit, memory.building(DeviceContext()):
        raise error
    with pytest.raises(RuntimeError, match="shapes"), memory.building(DeviceContext()):
        raise RuntimeError("shapes")


@pytest.mark.parametrize(("size", "limit", "fits"), [(8, 8, 8), (12, 4, 3), (5, 2, 2), (8, 1, 1)])
def test_a_size_is_halved_until_it_fits(size: int, limit: int, fits: int) -> None:
    """Nothing is halved that fits; an odd size rounds up."""
    found = memory.halving(work(limit), size, least=1, context=DeviceContext(), advice="")
    assert found == (f"done with {fits}", fits)


def test_the_least_size_is_the_end(scenes: Data) -> None:
    """The message says the device, the size, what was the most, and what to do."""
    context = DeviceContext(memory_mb=7)
    with pytest.raises(OutOfMemory, match=r"cpu is out of memory at 2 of 8.*limit 7 MiB.*pray"):
        memory.halving(work(1), 8, least=2, context=context, advice="pray")


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), TrainingError("odd")])
def test_other_errors_pass(error: Exception) -> None:
    """What is not about memory is not tried again."""
    with pytest.raises(type(error), match=str(error)):
        memory.halving(work(0, error), 8, least=1, context=DeviceContext(), advice="")


def test_a_part_that_cannot_be_trained_counts_as_too_large(scenes: Data) -> None:
    """Pooling that normalises one value per image cannot do with one image."""

    def attempt(size: int) -> str:
        return work(1, TrainingError("one value") if size == 2 else None)(size)

    with pytest.raises(OutOfMemory, match="with 2 the network cannot be trained: one value"):
        memory.halving(attempt, 4, least=1, context=DeviceContext(), advice="")
    with pytest.raises(Diverged):
        memory.halving(work(1, Diverged("nan")), 4, least=1, context=DeviceContext(), advice="")


def test_parts_add_up_to_the_gradients_of_the_batch(scenes: Data) -> None:
    """With norms that do not look at the batch, whatever the parts ignore."""
    config = sizeable({"training.batch_size": 4, **STILL})
    images, labels = Batches(scenes.train, config, "cpu").batch(1, 0)
    labels[0, :20] = 255
    labels[1] = 255
    found = []
    for size in (4, 3, 1):
        state = TrainState(config, scenes, DeviceContext(), 6)
        state.micro_batch = size
        losses = optimizer_step(state, images, labels, 0)
        gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
        found.append((losses, torch.cat([gradient.flatten() for gradient in gradients])))
    for loss, gradient in found[1:]:
        torch.testing.assert_close(loss, found[0][0])
        assert torch.linalg.vector_norm(gradient - found[0][1]) < 1e-4 * gradient.norm()


def test_a_probe_finds_what_fits_and_leaves_no_trace(scenes: Data) -> None:
    """Weights, statistics and optimizer are as before."""
    state = TrainState(CONFIG, scenes, DeviceContext(memory_mb=TIGHT), 6)
    before = state.state_dict()
    state.may_shrink = True
    probe(state, *Batches(scenes.train, CONFIG, "cpu").batch(1, 0))
    assert state.micro_batch == 2
    after = state.state_dict()
    assert after["optimizer"]["state"] == {}
    assert all(torch.equal(after["model"][name], old) for name, old in before["model"].items())


def run(data: Data, folder: Path, context: DeviceContext, **options: Any) -> Outcome:
    """Train `CONFIG` without anybody's objection."""
    config, session = options.pop("config", CONFIG), Session()
    if "should_yield" in options:
        session.should_yield = options.pop("should_yield")  # type: ignore[method-assign]
    return train(config, data, session, folder=folder, context=context, **options)


def test_the_micro_batch_stays_with_the_trial(scenes: Data, tmp_path: Path) -> None:
    """Found on a small device and taken up on a large one, a run ends bit for bit as uncut."""
    small = DeviceContext(memory_mb=TIGHT, cache=tmp_path / "cache")
    whole = run(scenes, tmp_path / "whole", small)
    assert whole.provenance["micro_batch"] == 2
    assert memory.recall(CONFIG, small) == 2
    asked = iter(range(10))
    run(scenes, tmp_path / "cut", small, should_yield=lambda: next(asked) == 1)
    resume = tmp_path / "cut" / checkpoint.NAME
    rest = run(scenes, tmp_path / "cut", DeviceContext(), resume=resume)
    assert rest.provenance["micro_batch"] == 2
    ended = [
        torch.load(tmp_path / name / MODEL, weights_only=True)["model"] for name in ("whole", "cut")
    ]
    assert all(torch.equal(ended[0][name], ended[1][name]) for name in ended[0])


@pytest.mark.parametrize("batch", [4, 5])
def test_a_rank_that_holds_its_part_has_found_no_limit(
    scenes: Data, tmp_path: Path, batch: int
) -> None:
    """Trials of one process start with the whole batch, and unequal parts pass at once."""
    config = sizeable({"training.batch_size": batch, **STILL})
    large = DeviceContext(memory_mb=10_000, cache=tmp_path)
    for index in range(2):
        state = TrainState(config, scenes, large, 6)
        training._find_micro_batch(state, Batches(scenes.train, config, "cpu", rank=Rank(index, 2)))
        assert state.micro_batch == batch
    assert memory.recall(config, large) is None


@pytest.mark.parametrize(
    ("determinism", "count", "found"), [("fast", 1, 6), ("exact", 1, 3), ("fast", 2, 2)]
)
def test_what_cannot_shrink_later_fits_beside_the_optimizer(
    scenes: Data, monkeypatch: pytest.MonkeyPatch, determinism: str, count: int, found: int
) -> None:
    """The first step is taken before the optimizer keeps anything; the second may need more."""
    given = {"training.batch_size": 6, "training.determinism": determinism, **STILL}
    config = sizeable(given)
    context = DeviceContext(memory_mb=10_000)
    state = TrainState(config, scenes, context, 6)
    backward = training._backward

    def tight(state: TrainState, images: Any, labels: Any, share: Any) -> Any:
        if state.optimizer.state and len(images) > (3 if count == 1 else 2):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backward(state, images, labels, share)

    monkeypatch.setattr(training, "_backward", tight)
    batches = Batches(scenes.train, config, "cpu", rank=Rank(0, count))
    training._find_micro_batch(state, batches)
    assert state.micro_batch == found


def test_exact_refuses_to_go_on_with_less(scenes: Data, tmp_path: Path) -> None:
    """A checkpoint of four at once on a device that holds two is no uninterrupted run."""
    run(scenes, tmp_path, DeviceContext(), should_yield=lambda: True)
    with pytest.raises(OutOfMemory, match="exact keeps the micro-batch") as caught:
        run(scenes, tmp_path, DeviceContext(memory_mb=TIGHT), resume=tmp_path / checkpoint.NAME)
    assert classify(caught.value) == "out_of_memory"


def test_fast_goes_on_with_less(scenes: Data, tmp_path: Path) -> None:
    """Where numbers need not repeat, a step that does not fit is taken again in halves."""
    run(scenes, tmp_path, DeviceContext(), config=FAST, should_yield=lambda: True)
    small, resume = DeviceContext(memory_mb=TIGHT), tmp_path / checkpoint.NAME
    outcome = run(scenes, tmp_path, small, config=FAST, resume=resume)
    assert outcome.provenance["micro_batch"] == 2


@pytest.mark.parametrize("config", [CONFIG, FAST], ids=["exact", "fast"])
def test_beside_other_trials_nothing_is_halved(
    scenes: Data, tmp_path: Path, config: TrialConfig
) -> None:
    """What others take must change no number, nor be remembered as the most that fits."""
    crowded = DeviceContext(memory_mb=TIGHT, cache=tmp_path, is_shared=True, is_crowded=True)
    with pytest.raises(OutOfMemory, match="out of memory at 4 of 4 images"):
        run(scenes, tmp_path, crowded, config=config)
    assert memory.recall(config, crowded) is None


def test_the_first_on_a_shared_device_finds_what_fits(scenes: Data, tmp_path: Path) -> None:
    """It is alone when it begins, and those of its kind begin with what it found."""
    alone = DeviceContext(memory_mb=TIGHT, cache=tmp_path, is_shared=True)
    beside = DeviceContext(memory_mb=TIGHT, cache=tmp_path, is_shared=True, is_crowded=True)
    for context in (alone, beside):
        state = TrainState(FAST, scenes, context, 6)
        training._find_micro_batch(state, Batches(scenes.train, FAST, "cpu"))
        assert state.micro_batch == 2


def test_a_shared_device_does_not_shrink_a_trial_later(scenes: Data, tmp_path: Path) -> None:
    """Others may have come since it began: it ends, and another attempt gets the device alone."""
    run(scenes, tmp_path, DeviceContext(), config=FAST, should_yield=lambda: True)
    small, resume = DeviceContext(memory_mb=TIGHT, is_shared=True), tmp_path / checkpoint.NAME
    with pytest.raises(OutOfMemory, match="beside other trials"):
        run(scenes, tmp_path, small, config=FAST, resume=resume)


@pytest.mark.parametrize(("own", "held"), [(None, 800 + 1024), (900, 800 + 400), (300, 800 + 1024)])
def test_a_process_holds_more_than_torch_has_reserved(
    monkeypatch: pytest.MonkeyPatch, own: float | None, held: float
) -> None:
    """CUDA's part is what the driver says beyond that; where it says nothing sensible, 1 GiB."""
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 800 << 20)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 500 << 20)
    monkeypatch.setattr(memory, "_own_mb", lambda context: own)
    assert memory.held_mb(DeviceContext(device="cuda:0")) == held


def test_a_cpu_is_not_asked_what_a_gpu_holds() -> None:
    """Only a GPU's memory is its own; a CPU's process is looked at from outside."""
    assert memory.held_mb(DeviceContext()) is None


def test_a_micro_batch_that_is_set_is_kept(scenes: Data, tmp_path: Path) -> None:
    """It is trained as it was sampled, or not at all."""
    fixed = sizeable({"training.batch_size": 4, "training.micro_batch": 4})
    with pytest.raises(OutOfMemory, match=r"training\.micro_batch is set"):
        run(scenes, tmp_path, DeviceContext(memory_mb=TIGHT), config=fixed)


def test_a_trial_that_never_fits_fails(scenes: Data, tmp_path: Path) -> None:
    """The end of all halving is an outcome of its own kind."""
    with pytest.raises(OutOfMemory, match=r"at 1 of 4 images .limit 4 MiB") as caught:
        run(scenes, tmp_path, DeviceContext(memory_mb=TINY))
    assert classify(caught.value) == "out_of_memory"


def test_a_damaged_note_costs_a_probe_only(tmp_path: Path) -> None:
    """Half a file counts as an empty one, and is replaced by the next note."""
    context = DeviceContext(cache=tmp_path)
    memory.remember(CONFIG, context, 2)
    [note] = tmp_path.glob("*.json")
    note.write_text("{", encoding="utf-8")
    assert memory.recall(CONFIG, context) is None
    memory.remember(CONFIG, context, 4)
    assert memory.recall(CONFIG, context) == 4
    assert memory.recall(FAST, context) is None
