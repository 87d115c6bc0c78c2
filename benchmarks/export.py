"""How well exported models of every decoder agree with eager torch, and how fast they are.

Each decoder stands on an encoder that suits it, with random weights, at the size of CamVid's small
copy. Latency is the median of one image, in turns with eager torch's, so that a ratio is of one
run and of one number of threads.

    python -m benchmarks.export [--quick] [--size 180 240] [--threads 2] [--decoders ocr fcn]
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import torch
from torch import Tensor

from benchmarks.machine import conclude, describe
from tuner.configs import catalog
from tuner.configs.resolve import resolve
from tuner.delivery.export.graph import sample
from tuner.delivery.export.write import Form, export
from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.opened import open_any
from tuner.delivery.predictor import Predictor
from tuner.delivery.trained import TrainedModel
from tuner.errors import SegtuneError
from tuner.spec.config import DatasetConfig, Recipe, Size
from tuner.training.network import model

CLASSES = tuple(f"class {number}" for number in range(11))
QUICK = ("fcn", "deeplabv3plus")
WARM_UP = 3


def main() -> None:
    """Export each decoder to each form, and print a row for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two decoders, few rounds")
    parser.add_argument("--size", type=int, nargs=2, default=(180, 240))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--decoders", nargs="*", default=None)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    names = given.decoders or (QUICK if given.quick else sorted(catalog.names("decoder")))
    rounds = 5 if given.quick else given.rounds
    print("| decoder | form | free | max abs difference | equal pixels | MB | latency / eager |")
    print("|---|---|---|---:|---:|---:|---:|")
    rows = [row for name in names for row in _of(name, tuple(given.size), rounds, given.threads)]
    facts = describe("torch", "onnx", "onnxruntime")
    conclude({"machine": facts, "threads": given.threads, "size": given.size, "files": rows})


def _of(decoder: str, size: Size, rounds: int, threads: int) -> list[dict[str, Any]]:
    trained = _model(decoder, size)
    rows = []
    for form in get_args(Form):
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = _measured(trained, form, Path(folder) / f"model.{form}", (rounds, threads))
            except SegtuneError as error:
                row = {"decoder": decoder, "form": form, "error": str(error)}
                print(f"| {decoder} | {form} | {error} | | | | |", flush=True)
        rows.append(row)
    return rows


def _measured(
    trained: TrainedModel, form: Form, path: Path, how: tuple[int, int]
) -> dict[str, Any]:
    rounds, threads = how
    done = export(trained, path, form=form)
    opened = open_onnx(path, threads=threads) if form == "onnx" else open_any(path)
    ratio = _ratio(opened, trained, sample(3, trained.size, batch=1), rounds)
    free = "batch, size" if done.facts.dynamic_size else "batch" * done.facts.dynamic_batch
    megabytes = path.stat().st_size / 1e6
    decoder, found = trained.config.model.decoder, done.agreement
    print(
        f"| {decoder} | {form} | {free or 'none'} | {found.difference:.1e} | "
        f"{100 * found.equal:.3f} % | {megabytes:.1f} | {ratio:.2f} |",
        flush=True,
    )
    return {
        "decoder": decoder,
        "form": form,
        "free": free,
        "difference": found.difference,
        "equal": found.equal,
        "megabytes": megabytes,
        "latency": ratio,
    }


def _ratio(file: Predictor, eager: Predictor, image: Tensor, rounds: int) -> float:
    """Median latency of a file over eager's, measured in turns."""
    times: dict[str, list[float]] = {"file": [], "eager": []}
    for index in range(WARM_UP + rounds):
        for name, run in (("file", file.logits), ("eager", eager.logits)):
            seconds = _timed(run, image)
            if index >= WARM_UP:
                times[name].append(seconds)
    return statistics.median(times["file"]) / statistics.median(times["eager"])


def _timed(run: Callable[[Tensor], Tensor], image: Tensor) -> float:
    begun = perf_counter()
    run(image)
    return perf_counter() - begun


def _model(decoder: str, size: Size) -> TrainedModel:
    encoder = {"ocr": "hrnet_w18_small", "segformer": "mit_b0"}.get(decoder, "resnet18")
    dataset = DatasetConfig(format="synthetic", classes=CLASSES, size=size)
    recipe = Recipe.model_validate({"model": {"decoder": decoder, "encoder": encoder}})
    config = resolve(recipe, dataset, {})
    network = model.build(config, mean=(120.0,) * 3, std=(60.0,) * 3)
    return TrainedModel(network.eval().requires_grad_(False), config, decoder, "0" * 64)


if __name__ == "__main__":
    main()
