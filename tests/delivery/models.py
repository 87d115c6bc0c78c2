"""Model files for tests: networks with random weights, as training writes them."""

from pathlib import Path
from typing import Any

import torch

from tests.training import samples
from tests.training.networks import randomise
from tuner.spec.config import TrialConfig
from tuner.training import saving
from tuner.training.network import model
from tuner.training.network.weights import norm_eps


def write_model(
    path: Path, config: TrialConfig | None = None, *, seed: int = 0, channels: int = 3
) -> Path:
    """A `model.pt` of the config, by default of the smallest network, drawn from the seed."""
    chosen = (config or samples.config()).model_copy(update={"seed": seed})
    network = model.build(chosen, mean=(120.0,) * channels, std=(60.0,) * channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        randomise(network)
    body: dict[str, Any] = {
        "config": chosen.model_dump_json(),
        "model": network.state_dict(),
        "norm_eps": norm_eps(network),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    saving.write(body, path)
    return path
