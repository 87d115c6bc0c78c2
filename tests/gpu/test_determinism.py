"""The exact mode repeats bit for bit on a GPU; the fast mode is bf16, channels-last and fused."""

from pathlib import Path

import pytest
import torch

from tests.gpu.runs import Run, config, differing
from tests.training.samples import timeless
from tuner.configs import catalog
from tuner.spec.messages import OutcomeKind
from tuner.training import checkpoint
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext, applied, autocast
from tuner.training.train import optimizer_step
from tuner.training.train_state import TrainState

FAST = {"training.determinism": "fast"}
FUSED = ("sgd", "adam", "adamw")


def test_exact_repeats_bit_for_bit(device: str, scenes: Data, tmp_path: Path) -> None:
    """Two runs of one config give the same reports and the same weights."""
    first, second = (Run(scenes, tmp_path / name, device) for name in ("a", "b"))

    assert timeless(first.reports) == timeless(second.reports)
    assert [] == differing(first.weights, second.weights)


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "lovasz", "ohem", "rmi", "focal"])
@pytest.mark.parametrize("decoder", ["ocr", "deeplabv3plus", "pspnet"])
def test_every_kernel_of_the_exact_tier_is_deterministic(
    device: str, scenes: Data, tmp_path: Path, decoder: str, loss: str
) -> None:
    """No layer and no loss falls back to a kernel that torch calls nondeterministic."""
    chosen = config({"model.decoder": decoder, "loss.name": loss, "training.epochs": 1})

    assert OutcomeKind.COMPLETED is Run(scenes, tmp_path / "run", device, chosen).outcome.kind


@pytest.mark.parametrize("cut", [1, 4, 6])
def test_a_cut_leaves_no_scar(device: str, scenes: Data, tmp_path: Path, cut: int) -> None:
    """Cut after any step and taken up again, an exact run ends as if it had not been."""
    straight, folder, asked = (
        Run(scenes, tmp_path / "straight", device),
        tmp_path / "cut",
        iter(range(100)),
    )
    first = Run(scenes, folder, device, should_yield=lambda: next(asked) >= cut)
    rest = Run(
        scenes,
        folder,
        device,
        resume=folder / checkpoint.NAME,
        last_step=first.outcome.step,
    )

    assert OutcomeKind.YIELDED is first.outcome.kind
    assert timeless(straight.reports) == timeless(first.reports + rest.reports)
    assert [] == differing(straight.weights, rest.weights)


def test_fast_learns_what_exact_learns(device: str, scenes: Data, tmp_path: Path) -> None:
    """bf16 changes the loss of an epoch by a few percent at most."""
    exact = Run(scenes, tmp_path / "exact", device)
    fast = Run(scenes, tmp_path / "fast", device, config(FAST))

    assert exact.losses == pytest.approx(fast.losses, rel=0.1)


def test_fast_multiplies_in_bf16(device: str) -> None:
    """Convolutions of the fast mode run in bf16, those of the exact mode in float32."""
    images = torch.zeros(1, 3, 32, 32, device=device)
    layer = torch.nn.Conv2d(3, 4, 3, device=device)
    context = DeviceContext(device=device)

    with autocast("fast", context):
        assert torch.bfloat16 is layer(images).dtype
    with autocast("exact", context):
        assert torch.float32 is layer(images).dtype


def test_fast_is_channels_last(device: str, scenes: Data) -> None:
    """Weights of convolutions lie channels-last, so that cuDNN needs no transposition."""
    context = DeviceContext(device=device)
    with applied("fast", context):
        state = TrainState(config(FAST), scenes, context, 8)

    kernels = [part.weight for part in state.model.modules() if isinstance(part, torch.nn.Conv2d)]
    wide = [kernel for kernel in kernels if kernel.shape[1] > 1 and kernel.shape[2] > 1]
    assert wide
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in wide)


@pytest.mark.parametrize("name", sorted(catalog.components("optimizer")))
def test_every_optimizer_steps_on_the_gpu(
    device: str, scenes: Data, tmp_path: Path, name: str
) -> None:
    """In the fast mode SGD, Adam and AdamW take torch's fused kernels."""
    chosen = config({**FAST, "optimizer.name": name, "optimizer.lr": 1e-3, "training.epochs": 1})
    context = DeviceContext(device=device)
    with applied("fast", context):
        state = TrainState(chosen, scenes, context, 4)
        batches = Batches(scenes.train, chosen, device)
        loss = optimizer_step(state, *batches.batch(1, 0), 0)
        batches.close()

    assert bool(torch.isfinite(loss))
    assert (name in FUSED) <= bool(state.optimizer.defaults.get("fused"))


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # torch's own import
def test_a_compiled_network_learns_the_same(device: str, scenes: Data, tmp_path: Path) -> None:
    """`training.compile` changes the pace, not what is learned; kernels are kept in the cache."""
    plain = Run(scenes, tmp_path / "plain", device, config(FAST))
    compiled = Run(
        scenes,
        tmp_path / "compiled",
        device,
        config({**FAST, "training.compile": True}),
        cache=tmp_path / "kernels",
    )

    assert plain.losses == pytest.approx(compiled.losses, rel=0.1)
