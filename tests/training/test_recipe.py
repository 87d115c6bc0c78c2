"""The choices of a recipe reach the optimizer step that they are about."""

from typing import Any

import pytest
import torch

from tests.training.samples import config
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.train import optimizer_step
from tuner.training.train_state import TrainState


def stepped(scenes: Data, params: dict[str, Any]) -> tuple[TrainState, torch.Tensor]:
    """A learner after its first step, and the loss of it."""
    chosen = config({"schedule.warmup": 0.0, "training.ema": None, **params})
    state = TrainState(chosen, scenes, DeviceContext("cpu"), 10)
    images, labels = Batches(scenes.train, chosen, "cpu").batch(1, 0)
    return state, optimizer_step(state, images, labels, 0)


def test_clipping_and_rates_reach_the_step(scenes: Data) -> None:
    """Weights stay within their bound, and the encoder learns at its own rate."""
    state, _ = stepped(
        scenes,
        {
            "training.clip_weights": 0.0625,
            "training.clip_norm": 1.0,
            "model.encoder_lr": 0.1,
            "optimizer.decay_norm": False,
        },
    )
    largest = max(weight.detach().abs().max().item() for weight in state.model.parameters())
    assert largest <= 0.0625
    norms = [weight.grad.norm() for weight in state.model.parameters() if weight.grad is not None]
    assert float(torch.stack(norms).norm()) <= 1.001
    rates = sorted(group["lr"] for group in state.optimizer.param_groups)
    full = state.rate(0)
    assert rates == pytest.approx([0.1 * full, 0.1 * full, full, full])


def test_a_sum_of_losses_trains(scenes: Data) -> None:
    """Terms are built from the config as it was settled, and give one finite loss."""
    terms = {"loss.name": "sum", "loss.terms.0.name": "ohem", "loss.terms.1.name": "lovasz"}
    _, loss = stepped(scenes, {**terms, "loss.terms.1.weight": 0.3})
    assert 0 < float(loss) < 100
