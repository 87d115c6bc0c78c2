"""The work of `segtune quantize`: export, calibrate, quantise, score, and write what holds."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tuner.atomic import replacing
from tuner.cli.compress.sources import Original
from tuner.delivery.compress import costs
from tuner.delivery.compress.costs import CompressionStep
from tuner.delivery.compress.quantisation import (
    CalibrationImages,
    CalibrationMethod,
    OnnxSource,
    calibrated,
)
from tuner.delivery.compress.sensitivity import SensitivitySearch, Within
from tuner.delivery.export.write import Options, export
from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.predictor import Predictor
from tuner.errors import InvalidInput, Problem, StorageError
from tuner.training.network.model import parameter_count
from tuner.wording import quantity

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class QuantisationPlan:
    """How to calibrate, and what may be lost."""

    calibration: CalibrationMethod
    images: int
    max_drop: float


@dataclass(frozen=True, slots=True)
class QuantisationResult:
    """The file that came out, what each step cost, and the layers that stayed in float."""

    path: Path
    steps: tuple[CompressionStep, ...]
    plan: QuantisationPlan
    in_float: tuple[str, ...]
    harm: dict[str, float]

    def facts(self) -> dict[str, Any]:
        """For the report as JSON, beside its steps."""
        return {
            "file": str(self.path),
            "calibration": self.plan.calibration,
            "images": self.plan.images,
            "max_drop": self.plan.max_drop,
            "in_float": list(self.in_float),
            "harm": self.harm,
        }


def check_name(path: Path) -> None:
    """Raise InvalidInput for a file that would not look like what it is."""
    if path.suffix.lower() != ".onnx":
        message = f"names an ONNX file, which ends in .onnx, not {path.name}"
        raise InvalidInput([Problem(("--out",), message)])


def quantised(
    source: Original, plan: QuantisationPlan, out: Path, *, say: Callable[[str], None]
) -> QuantisationResult:
    """Quantise a model so that it keeps its score, and write it; whole or not at all.

    Raises:
        TrainingError: it cannot be exported, or does not keep its score.
        StorageError: the file cannot be written.
    """
    threads = source.settings.threads or 0
    with TemporaryDirectory(prefix="segtune-int8-") as place:
        folder = Path(place)
        file = folder / "float.onnx"
        exported = export(source.trained, file, options=Options(gives="logits"))
        wide = OnnxSource(file, exported.facts, threads)
        steps = [
            _step(source.trained, source, "torch, float32", source.path),
            _step(wide.opened(), source, "onnx, float32", file),
        ]
        images = CalibrationImages(source.data.train, plan.images)
        say(f"calibrating with {quantity(len(images), 'image')}")
        ready = calibrated(wide, images, plan.calibration, folder=folder)
        search = SensitivitySearch(
            ready, source.data.val, steps[-1].miou, plan.max_drop, folder, say
        )
        found = search.run(wide, images)
        steps.append(
            _step(open_onnx(found.path, threads=threads), source, "onnx, int8", found.path)
        )
        _written(found, out)
    return QuantisationResult(out, tuple(steps), plan, found.in_float, found.harm)


def described(found: QuantisationResult) -> Iterator[str]:
    """What stayed in float, and where the file is."""
    if found.in_float:
        names = ", ".join(found.in_float[:_SHOWN])
        more = len(found.in_float) - _SHOWN
        yield f"in float: {names}" + (f" and {more} more" if more > 0 else "")
    yield f"the model is in {found.path}"


def _step(predictor: Predictor, source: Original, name: str, file: Path) -> CompressionStep:
    count = parameter_count(source.trained.network)
    return costs.measured(predictor, source.data.val, name=name, parameters=count, file=file)


def _written(found: Within, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as draft:
            shutil.copyfile(found.path, draft)
    except OSError as error:
        raise StorageError(
            f"cannot write {out}: {error.strerror}; name another file with --out"
        ) from error
