"""Images per second of our training loop, against two others, and what a second trial waits for.

a. Against a bare forward, backward and step on one resident batch in the same precision: no data,
   no augmentation, no schedule, no seeding, no bookkeeping. `data_wait` is the share of an epoch
   in which the loop waits for its next batch, augmentation included. Both take turns in one
   process, and the ratio is the median over the pairs.
b. Against the usual published loop (`benchmarks.usual_loop`): the same network on the same
   images as files, through a DataLoader with torchvision's transforms, in float32.
c. Images decoded by the first and by the second trial on a machine.

With `--device cuda` networks and image sizes are those that people train, and ours is bf16.

    python -m benchmarks.training [--quick] [--device cpu] [--pairs 7]
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

import torch

from benchmarks import usual_loop
from benchmarks.machine import conclude, describe
from tuner.configs.resolve import complete
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Report, Verdict
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data, load
from tuner.training.data.rasters import decode
from tuner.training.determinism import DeviceContext, applied, autocast
from tuner.training.session import Session
from tuner.training.train import train
from tuner.training.train_state import TrainState
from workers.settings import WorkerSettings

MODELS = {
    "ocr-hrnet_w18_small": {"decoder": "ocr", "encoder": "hrnet_w18_small"},
    "deeplabv3plus-resnet18": {"decoder": "deeplabv3plus", "encoder": "resnet18"},
}
GPU_MODELS = {
    "ocr-hrnet_w18": {"decoder": "ocr", "encoder": "hrnet_w18"},
    "deeplabv3plus-resnet50": {"decoder": "deeplabv3plus", "encoder": "resnet50"},
}
GPU_SIZES = ((360, 480), (720, 960))
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


def as_worker(device: str) -> DeviceContext:
    """A machine as a worker with default settings describes it to the loop."""
    seconds = WorkerSettings.model_fields["checkpoint_seconds"].default
    return DeviceContext(device=device, checkpoint_seconds=seconds)


class _LastReport(Session):
    def report(self, report: Report) -> Verdict:
        self.metrics = report.metrics
        return Verdict()


def loop(chosen: TrialConfig, data: Data, context: DeviceContext) -> tuple[float, float]:
    """Images per second and data_wait of the second epoch of a real run."""
    last = _LastReport()
    with tempfile.TemporaryDirectory() as folder:
        train(chosen, data, last, folder=Path(folder), context=context)
    metrics = last.metrics
    return metrics["images_per_second"], metrics["data_wait"]


def bare(chosen: TrialConfig, data: Data, context: DeviceContext) -> float:
    """Images per second of forward, backward and step on one resident batch."""
    with applied(chosen.training.determinism, context):
        batches = Batches(data.train, chosen, context.device)
        state = TrainState(chosen, data, context, 1_000)
        images, labels = batches.batch(1, 0)
        step = _plain_step(state, images, labels)
        for _ in range(batches.per_epoch):
            step()
        _wait(context)
        began = perf_counter()
        for _ in range(batches.per_epoch):
            step()
        _wait(context)
        return batches.per_epoch * batches.size / (perf_counter() - began)


def _plain_step(
    state: TrainState, images: torch.Tensor, labels: torch.Tensor
) -> Callable[[], None]:
    model, loss, optimizer = state.model, state.loss, state.optimizer

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(state.config.training.determinism, state.context):
            logits, aux = model(images)
        total = loss(logits.float(), labels)
        if aux is not None:
            total = total + 0.4 * loss(aux.float(), labels)
        total.backward()
        optimizer.step()

    return step


def _wait(context: DeviceContext) -> None:
    if context.is_cuda:
        torch.cuda.synchronize(context.device)


def compare(
    model: dict[str, str], options: argparse.Namespace, *, images: int, size: tuple[int, int]
) -> dict[str, Any]:
    """One row of (a): loop and bare step in turn, and the median of their ratios."""
    context = as_worker(options.device)
    chosen = config(model, images=images, size=size)
    with tempfile.TemporaryDirectory() as cache:
        data = load(chosen.dataset, cache=Path(cache), roots=())
        ratios, waits, rates = [], [], []
        for _ in range(options.pairs):
            rate, wait = loop(chosen, data, context)
            ratios.append(rate / bare(chosen, data, context))
            waits.append(wait)
            rates.append(rate)
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "images_per_second": round(statistics.median(rates), 1),
        "data_wait": round(statistics.median(waits), 4),
    }


def against_usual(
    model: dict[str, str], options: argparse.Namespace, *, images: int, size: tuple[int, int]
) -> dict[str, Any]:
    """One row of (b) and (c), on files of twice the network's size."""
    context = as_worker(options.device)
    drawn = config(model, images=images, size=size)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        usual_loop.write_files(folder / "set", load(drawn.dataset, cache=folder / "drawn"))
        chosen = on_files(drawn)
        first, first_seconds, data = opened(chosen, folder)
        second, second_seconds, data = opened(chosen, folder)
        ratios = [
            loop(chosen, data, context)[0]
            / usual_loop.images_per_second(chosen, data, folder / "set", context)
            for _ in range(options.pairs)
        ]
    return {
        "usual_ratio": round(statistics.median(ratios), 2),
        "usual_ratio_min": round(min(ratios), 2),
        "usual_ratio_max": round(max(ratios), 2),
        "first_trial_decodes": first,
        "first_trial_seconds": round(first_seconds, 3),
        "second_trial_decodes": second,
        "second_trial_seconds": round(second_seconds, 3),
    }


def on_files(drawn: TrialConfig) -> TrialConfig:
    """The same config on the files that `write_files` wrote."""
    classes, size = drawn.dataset.classes, drawn.dataset.size
    dataset = {"format": "folder", "root": "set", "classes": classes, "size": size}
    return complete(
        TrialConfig.model_validate({**drawn.model_dump(mode="json"), "dataset": dataset})
    )


def opened(chosen: TrialConfig, folder: Path) -> tuple[int, float, Data]:
    """How many files were decoded to open the data set, the seconds it took, and the data."""
    began = perf_counter()
    with (
        mock.patch.object(decode, "stored", side_effect=decode.stored) as stored,
        mock.patch.object(decode, "as_rgb", side_effect=decode.as_rgb) as converted,
    ):
        data = load(chosen.dataset, cache=folder / "cache", roots=(folder,))
    return stored.call_count + converted.call_count, perf_counter() - began, data


def measure(name: str, model: dict[str, str], options: argparse.Namespace, **what: Any) -> Any:
    """All rows of one network, printed as they come."""
    row = compare(model, options, **what) | against_usual(model, options, **what)
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
    options.pairs, images = (1, 16) if options.quick else (options.pairs, 64)
    result: dict[str, Any] = describe("torch", "timm")
    if DeviceContext(device=options.device).is_cuda:
        result["device"] = torch.cuda.get_device_name(options.device)
        for name, model in GPU_MODELS.items():
            for size in GPU_SIZES[: 1 if options.quick else None]:
                row = f"{name}-{size[0]}x{size[1]}"
                result |= measure(row, model, options, images=images, size=size)
    else:
        result["gpu"] = "not measured"
        for name, model in MODELS.items():
            result |= measure(name, model, options, images=images, size=tuple(options.size))
    conclude(result)


if __name__ == "__main__":
    main()
