"""What evaluation, export and their like are given: a model file, a result file or a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import connect

if TYPE_CHECKING:
    from tuner.delivery.trained import TrainedModel
    from tuner.spec.messages import ArtifactRef
    from tuner.spec.views import Best

ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="model.pt, best.json, or a study's name for its best."),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="The model.pt of a best.json; else the one beside it, else the server's.",
        show_default=False,
    ),
]
_MODEL = "model.pt"
_FILES = {".json", ".onnx", ".pt", ".pth", ".safetensors", ".yaml", ".yml"}
_TEXT = (b"{", b"[")


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Where models may come from: a folder that keeps fetched ones, and the server that has them.

    `weights` stand for those that a result file names.
    """

    cache: Path
    server: str | None = None
    token: str | None = None
    weights: Path | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A model file, what to call it in reports, and the result that it belongs to, if any."""

    path: Path
    name: str
    best: "Best | None" = None


def open_trained(target: str, sources: ModelSources, *, device: str = "cpu") -> "TrainedModel":
    """The trained model that a target names.

    Raises:
        InvalidInput, Malformed: a result file that is not one.
        NotFound: no such file and no such study, or its trial kept no model.
        DataUnavailable, TrainingError: the model file cannot be used.
    """
    from tuner.delivery.trained import open_model

    found = find_model(target, sources)
    return open_model(found.path, device=device, name=found.name)


def find_model(target: str, sources: ModelSources) -> Found:
    """The model file of a `model.pt`, a result file or a study; a study's is fetched once.

    Raises:
        InvalidInput, Malformed, NotFound: as `open_trained`.
    """
    from tuner.cli.documents import read_result
    from tuner.errors import NotFound

    path = Path(target)
    if not path.is_file():
        if path.is_dir() or path.suffix.lower() in _FILES:
            raise NotFound(f"there is no file {target}; name a model.pt, a best.json or a study")
        return _of_result(connect(sources.server, sources.token).best(target), sources, None)
    if not is_document(path):
        return Found(path, path.name)
    _, best = read_result(path)
    if best is not None:
        return _of_result(best, sources, path.with_name(_MODEL))
    if sources.weights is None:
        raise NotFound(f"{path} is a config without weights; name them with --weights model.pt")
    return Found(sources.weights, sources.weights.name)


def is_document(path: Path) -> bool:
    """Whether a file is text of ours (JSON, or YAML by its name) rather than a model."""
    if path.suffix.lower() in {".yaml", ".yml"}:
        return True
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(_TEXT)


def _of_result(best: "Best", sources: ModelSources, beside: Path | None) -> Found:
    """The model of a result: the named one, that beside its file, or the one on the server."""
    from tuner.training.network.weight_files import digest_of

    name = f"trial {best.trial} of {best.study}"
    if sources.weights is not None:
        return Found(sources.weights, name, best)
    kept = next((each for each in _artifacts(best) if each.kind == "model"), None)
    if beside and beside.is_file() and (kept is None or kept.sha256 == digest_of(beside)):
        return Found(beside, name, best)
    return Found(fetched(kept, name, sources), name, best)


def fetched(kept: "ArtifactRef | None", name: str, sources: ModelSources) -> Path:
    """A trial's model from the folder of fetched ones, or from the server. Raises NotFound."""
    from tuner.errors import NotFound

    if kept is None:
        raise NotFound(
            f"{name} kept no model; train it again with `segtune train`, and name its model.pt"
        )
    path = sources.cache / "models" / f"{kept.sha256}.pt"
    if not path.is_file():
        connect(sources.server, sources.token).download(kept.id, path)
    return path


def _artifacts(best: "Best") -> "Sequence[ArtifactRef]":
    from tuner.spec.messages import ArtifactRef

    listed = best.provenance.get("artifacts")
    return tuple(ArtifactRef.model_validate(each) for each in listed or ())
