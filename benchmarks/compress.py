"""What INT8 costs and gains: drop of mIoU, speed-up over float32 in one run, for three networks.

Each network is trained for a few epochs, exported to ONNX, calibrated on training images and
quantised as `segtune quantize` does it. Float and INT8 files then take turns on one image, from
pixels to classes; the speed-up is the median of the ratios of the pairs, so that what else the
machine does falls on both. Torch's own time stands beside as a ratio too.

    python -m benchmarks.compress [--camvid FOLDER] [--epochs 9] [--size 180 240] [--threads 1]

`--camvid` is the folder that holds `images` and `labels`; without it, synthetic streets.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import conclude, describe
from tuner.configs.resolve import complete
from tuner.delivery.compress import costs
from tuner.delivery.compress.quantisation import CalibrationImages, OnnxSource, calibrated
from tuner.delivery.compress.sensitivity import SensitivitySearch
from tuner.delivery.export.write import Options, export
from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.trained import TrainedModel, open_model
from tuner.spec.config import TrialConfig
from tuner.training.data.load import Data, load
from tuner.training.session import Session
from tuner.training.train import train

MODELS: dict[str, dict[str, Any]] = {
    "ocr-hrnet_w18_small": {"decoder": "ocr", "encoder": "hrnet_w18_small"},
    "deeplabv3plus-resnet18": {"decoder": "deeplabv3plus", "encoder": "resnet18"},
    "fcn-resnet18": {"decoder": "fcn", "encoder": "resnet18"},
}
CAMVID = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "cyclist"),
)


def config(model: dict[str, Any], options: argparse.Namespace) -> TrialConfig:
    """The textbook recipe on CamVid or on synthetic streets."""
    dataset: dict[str, Any] = {"size": options.size, "classes": CAMVID, "ignore_index": 11}
    if options.camvid is None:
        dataset |= {"format": "synthetic", "train": 64, "val": 16}
    else:
        places = {"images": "images/{split}", "masks": "labels/{split}"}
        dataset |= {"format": "folder", "root": options.camvid.name, **places}
    return complete(
        TrialConfig.model_validate(
            {
                "dataset": dataset,
                "model": model,
                "augment": {"flip": 0.5, "scale": [0.5, 2.0], "colour": 0.4},
                "training": {"epochs": options.epochs, "batch_size": 8},
            }
        )
    )


def row(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train, export and quantise one network, and compare."""
    chosen = config(MODELS[name], options)
    roots = () if options.camvid is None else (options.camvid.resolve().parent,)
    data = load(chosen.dataset, cache=folder / "cache", roots=roots)
    train(chosen, data, Session(), folder=folder / name)
    return quantised(name, open_model(folder / name / "model.pt"), data, options)


def quantised(
    name: str, trained: TrainedModel, data: Data, options: argparse.Namespace
) -> dict[str, Any]:
    """The row of a trained network."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = folder / "float.onnx"
        facts = export(trained, path, options=Options(gives="logits")).facts
        source = OnnxSource(path, facts, options.threads)
        images = CalibrationImages(data.train, options.images)
        ready = calibrated(source, images, options.calibration, folder=folder)
        whole = source.opened()
        miou = costs.score(whole, data.val)
        found = SensitivitySearch(ready, data.val, miou, options.max_drop, folder, print).run(
            source, images
        )
        small = open_onnx(found.path, threads=options.threads)
        pairs = [
            [costs.latency_ms(each) for each in (trained, whole, small)]
            for _ in range(options.pairs)
        ]
        return {
            "network": name,
            "miou": round(miou, 4),
            "drop": round(miou - found.miou, 4),
            "speed_up": _ratio(pairs, 1, 2),
            "speed_up_over_torch": _ratio(pairs, 0, 2),
            "smaller": round(path.stat().st_size / found.path.stat().st_size, 2),
            "layers": len(ready.layers),
            "in_float": list(found.in_float),
        }


def _ratio(pairs: list[list[float]], before: int, after: int) -> float:
    return round(statistics.median(each[before] / each[after] for each in pairs), 2)


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows as Markdown."""
    yield "| network | mIoU | INT8 drop | against ONNX float | against torch | file | in float |"
    yield "|---|---|---|---|---|---|---|"
    for each in rows:
        yield (
            f"| {each['network']} | {each['miou']:.4f} | {each['drop']:.4f} | "
            f"{each['speed_up']:.2f}× | {each['speed_up_over_torch']:.2f}× | "
            f"{each['smaller']:.1f}× smaller | {len(each['in_float'])} of {each['layers']} |"
        )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--size", type=int, nargs=2, default=(180, 240))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--calibration", default="percentile")
    parser.add_argument("--max-drop", type=float, default=0.01)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as place:
        rows = [row(name, options, Path(place)) for name in options.models]
    for line in table(rows):
        print(line)
    conclude({**describe("torch", "onnxruntime"), "rows": rows})


if __name__ == "__main__":
    main()
