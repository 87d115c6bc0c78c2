"""The study that is disturbed, and its trials trained without anybody disturbing them."""

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tuner.spec.config import TrialConfig
from tuner.spec.messages import Action, Report, Verdict

NAME = "chaos"
Series = Mapping[int, Mapping[str, float]]  # metrics by step
_FEW = 8  # trials that are trained before another process has loaded torch
# What the same training gives differently each time.
_GAUGES = frozenset({"images_per_second", "data_wait", "peak_memory_mb", "gpu_utilisation"})


def study(epochs: int, seed: int, pruner: str) -> dict[str, Any]:
    """Trials of tiny images and a tiny network: an epoch takes 30 ms, a checkpoint has 1 MB."""
    return {
        "name": NAME,
        "dataset": {
            "format": "synthetic",
            "classes": ["sky", "building", "road"],
            "size": [32, 32],
            "train": 8,
            "val": 4,
        },
        "base": {
            "model": {
                "decoder": "cnn",
                "encoder": "tu-test_byobnet",
                "mid_channels": 8,
                "layers": 1,
            },
            "training": {"epochs": epochs, "batch_size": 4},
        },
        "space": {
            "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
            "training.batch_size": {"choice": [2, 4]},
        },
        "search": {
            "sampler": "random",
            "pruner": pruner,
            "trials": 1_000_000,
            "parallel": 1_000,
            "seed": seed,
        },
        # Faults come faster here than any trial would be forgiven them.
        "resources": {"attempts": 1_000},
    }


def numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that training the same must give again."""
    return {name: value for name, value in metrics.items() if name not in _GAUGES}


def undisturbed(begun: Sequence[tuple[TrialConfig, int]]) -> list[Series]:
    """Each config trained from its start to that step: here, or many in processes of their own."""
    with TemporaryDirectory() as folder:
        trained = partial(_trained, Path(folder))
        if len(begun) <= _FEW:
            return [trained(one) for one in begun]
        os.environ["OMP_NUM_THREADS"] = "1"  # read by those that are started from here
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
            return list(pool.map(trained, begun))


def _trained(cache: Path, begun: tuple[TrialConfig, int]) -> Series:
    from tuner.training.data.load import load
    from tuner.training.determinism import DeviceContext
    from tuner.training.session import Session
    from tuner.training.train import train

    config, last = begun
    series: dict[int, dict[str, float]] = {}

    class Recorder(Session):
        def report(self, report: Report) -> Verdict:
            series[report.step] = numbers(report.metrics)
            return Verdict(action=Action.STOP if report.step >= last else Action.CONTINUE)

    data = load(config.dataset, cache=cache, roots=())
    context = DeviceContext(device="cpu", threads=1, cache=cache)
    with TemporaryDirectory() as folder:
        train(config, data, Recorder(), folder=Path(folder), context=context)
    return series
