"""`export`: writes a trained model in another form, and leaves the file only if it agrees."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor
from torch.nn import functional

from tuner.atomic import replacing
from tuner.delivery.export import to_onnx, to_torch
from tuner.delivery.export.agreement import LEAST_EQUAL, TOLERANCE, Equality, Runnable, compare
from tuner.delivery.export.graph import Graph, sample
from tuner.delivery.facts import Facts, Gives
from tuner.delivery.file_model import CannotRun, FileModel
from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.torch_model import open_program, open_script
from tuner.delivery.trained import TrainedModel
from tuner.errors import SegtuneError, StorageError, TrainingError

Form = Literal["onnx", "torchscript", "torch-export"]
_OPENERS: Mapping[Form, Callable[..., FileModel]] = {
    "onnx": open_onnx,
    "torchscript": open_script,
    "torch-export": open_program,
}
_SHARE = 0.75  # of the trained size: the other size that a file is tried at
_LEAST = 16
_LARGER = 275


@dataclass(frozen=True, slots=True)
class Options:
    """How to export: the output, free batch and size where the network allows them, the opset."""

    gives: Gives = "logits"
    dynamic: bool = True
    opset: int = to_onnx.DEFAULT_OPSET
    licence: str = "unknown"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file, what it says of itself, how well it agrees, and why it takes less than asked for."""

    path: Path
    facts: Facts
    agreement: Equality
    notes: tuple[str, ...] = ()


def export(
    trained: TrainedModel,
    path: Path,
    *,
    form: Form = "onnx",
    options: Options = Options(),
    images: Tensor | None = None,
) -> Exported:
    """Write a trained model as a file that is whole and agrees with it, or not at all.

    Tried are a free batch and size, a free batch, then one image of the trained size, until the
    network takes it. The file is compared with the model on `images` (N×C×H×W in 0 … 255, of the
    trained size; without any, on noise), with a free size at another size too.

    Raises:
        PackageMissing: a package of the extra `export` is not installed.
        InvalidInput: an opset that is not written here.
        TrainingError: torch cannot export this network, or the file differs from the model.
        StorageError: the file cannot be written.
    """
    notes: list[str] = []
    attempts = ((True, True), (True, False), (False, False)) if options.dynamic else ((False,) * 2,)
    last: Exception  # there is at least one attempt
    for dynamic in attempts:
        facts = Facts.of(trained, gives=options.gives, dynamic=dynamic, licence=options.licence)
        try:
            agreement = _written(trained, facts, path, _Job(form, options, images))
        except CannotRun as error:  # what was recorded holds for other sizes only
            notes.append(f"{_asked(dynamic)} is not possible: {_first_line(error)}")
            last = error
            continue
        except (SegtuneError, MemoryError):
            raise
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error.strerror or error}; choose another file, or make "
                "room for it there"
            ) from error
        except Exception as error:  # torch's recorders raise what they like
            notes.append(f"{_asked(dynamic)} is not possible: {_first_line(error)}")
            last = error
            continue
        return Exported(path, facts, agreement, tuple(notes))
    raise TrainingError(
        f"{trained.name} cannot be exported as {form}: {_first_line(last)}; nothing was written"
    ) from last


class _Disagrees(Exception):
    """The file of an attempt gives other numbers than the model."""


@dataclass(frozen=True, slots=True)
class _Job:
    form: Form
    options: Options
    images: Tensor | None


def _written(trained: TrainedModel, facts: Facts, path: Path, job: _Job) -> Equality:
    """Write beside the file's place, compare, and give it its name if it agrees."""
    graph = Graph(trained.network, facts.gives)
    with replacing(path) as draft:
        if job.form == "onnx":
            to_onnx.write(graph, facts, draft, opset=job.options.opset)
        elif job.form == "torchscript":
            to_torch.write_script(graph, facts, draft)
        else:
            to_torch.write_program(graph, facts, draft)
        opened: Runnable = _OPENERS[job.form](draft, name=path.name)
        agreement = compare(trained, opened, _batches(facts, job.images))
        if not agreement.is_good:
            raise _Disagrees(
                f"the file differs from the model: {agreement}; allowed are {TOLERANCE:g} of the "
                f"largest logit, or {100 * LEAST_EQUAL:g} % equal pixels"
            )
    return agreement


def _batches(facts: Facts, images: Tensor | None) -> list[Tensor]:
    """The images at the trained size, and where the file takes any size at another one."""
    given = sample(facts.channels, facts.size, batch=2) if images is None else images.float()
    if not facts.dynamic_size:
        return [given]
    # Smaller, with odd sides, and larger than what the network was recorded on.
    smaller = [max(int(_SHARE * side) | 1, _LEAST) for side in facts.size]
    larger = [max(side + 1, _LARGER) for side in facts.size]
    others = [
        functional.interpolate(given, size=tuple(size), mode="bilinear", antialias=True)
        for size in (smaller, larger)
    ]
    return [given, *others]


def _asked(dynamic: tuple[bool, bool]) -> str:
    if dynamic == (False, False):
        return "one image of one size"
    return "a free batch and size" if all(dynamic) else "a free batch"


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
