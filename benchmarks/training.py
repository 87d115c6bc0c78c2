"""Images per second of our training loop, against a bare forward, backward and step.

The bare loop repeats one resident batch through the same model, loss and optimizer: no data, no
augmentation, no learning-rate schedule, no seeding, no bookkeeping. Both take turns in one
process, and the ratio is the median over the pairs. `data_wait` is the share of an epoch in which
the loop waits for its next batch, augmentation included.

    python -m benchmarks.training [--quick] [--device cpu] [--pairs 7]
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks.machine import conclude, describe
from tuner.resolve import complete
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Report, Verdict
from tuner.training.batches import Batches
from tuner.training.data import Data, load
from tuner.training.determinism import Machine, applied
from tuner.training.learner import Learner
from tuner.training.train import train

MODELS = {
    "ocr-hrnet_w18_small": {"decoder": "ocr", "encoder": "hrnet_w18_small"},
    "deeplabv3plus-resnet18": {"decoder": "deeplabv3plus", "encoder": "resnet18"},
}
AUGMENT = {"flip": 0.5, "scale": [0.5, 2.0], "colour": 0.4}


def config(model: dict[str, str], *, images: int, size: tuple[int, int]) -> TrialConfig:
    """The textbook recipe with its usual augmentation, for two epochs."""
    return complete(
        TrialConfig.model_validate(
            {
                "dataset": {
                    "format": "synthetic",
                    "classes": [f"class {k}" for k in range(11)],
                    "size": size,
                    "train": images,
                    "val": 2,
                },
                "model": model,
                "augment": AUGMENT,
                "training": {"epochs": 2, "batch_size": 8, "determinism": "fast"},
            }
        )
    )


def loop(chosen: TrialConfig, data: Data, machine: Machine) -> tuple[float, float]:
    """Images per second and data_wait of the second epoch of a real run."""
    reports: list[Report] = []

    def keep(report: Report) -> Verdict:
        reports.append(report)
        return Verdict()

    with tempfile.TemporaryDirectory() as folder:
        train(chosen, data, keep, folder=Path(folder), machine=machine)
    metrics = reports[-1].metrics
    return metrics["images_per_second"], metrics["data_wait"]


def bare(chosen: TrialConfig, data: Data, machine: Machine) -> float:
    """Images per second of forward, backward and step on one resident batch."""
    with applied(chosen.training.determinism, machine):
        batches = Batches(data.train, chosen, machine.device)
        learner = Learner(chosen, data, machine, 1_000)
        images, labels = batches.batch(1, 0)
        step = _plain_step(learner, images, labels)
        for _ in range(batches.per_epoch):
            step()
        _wait(machine)
        began = perf_counter()
        for _ in range(batches.per_epoch):
            step()
        _wait(machine)
        return batches.per_epoch * batches.size / (perf_counter() - began)


def _plain_step(learner: Learner, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    model, loss, optimizer = learner.model, learner.loss, learner.optimizer

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        logits, aux = model(images)
        (loss(logits, labels) + 0.4 * (loss(aux, labels) if aux is not None else 0.0)).backward()
        optimizer.step()

    return step


def _wait(machine: Machine) -> None:
    if machine.is_cuda:
        torch.cuda.synchronize(machine.device)


def compare(name: str, options: argparse.Namespace, *, images: int, pairs: int) -> dict[str, Any]:
    """One row: loop and bare step in turn, and the median of their ratios."""
    machine = Machine(device=options.device)
    chosen = config(MODELS[name], images=images, size=tuple(options.size))
    with tempfile.TemporaryDirectory() as cache:
        data = load(chosen.dataset, cache=Path(cache), roots=())
        ratios, waits, rates = [], [], []
        for _ in range(pairs):
            rate, wait = loop(chosen, data, machine)
            ratios.append(rate / bare(chosen, data, machine))
            waits.append(wait)
            rates.append(rate)
    row = {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "images_per_second": round(statistics.median(rates), 1),
        "data_wait": round(statistics.median(waits), 4),
    }
    print(f"{name:24} {row}", flush=True)
    return {f"{name}_{key}": value for key, value in row.items()}


def main() -> None:
    """Run every model and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer pairs, within a minute")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128))
    options = parser.parse_args()
    pairs, images = (3, 24) if options.quick else (options.pairs, 64)
    result: dict[str, Any] = describe("torch", "timm")
    for name in MODELS:
        result |= compare(name, options, images=images, pairs=pairs)
    conclude(result)


if __name__ == "__main__":
    main()
