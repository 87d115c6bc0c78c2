"""What evaluation, export and their like are given: a model file, a result file or a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import connect

if TYPE_CHECKING:
    from tuner.delivery.predictor import Predictor
    from tuner.delivery.trained import TrainedModel
    from tuner.spec.ensemble import EnsembleMember
    from tuner.spec.messages import ArtifactRef
    from tuner.spec.views import Best

ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="model.pt, best.json, or a study's name for its best."),
]
AnyModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model file of any form, best.json, ensemble.json, or a study's name for its best.",
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="The model.pt of a best.json; else the one beside it, else the server's.",
        show_default=False,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        exists=True,
        dir_okay=False,
        help="A study or best.json whose data set is meant; else the model's own.",
        show_default=False,
    ),
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change the data set: dataset.root=FOLDER, dataset.test=NAME; repeatable."
    ),
]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", help="Write the numbers as JSON too.", show_default=False),
]
_MODEL = "model.pt"
_FILES = {".json", ".onnx", ".pt", ".pt2", ".pth", ".safetensors", ".ts"}
_YAML = {".yaml", ".yml"}
_EXPORTED = "file, and this needs the network as it was trained; name its model.pt or its study"
_NOT_TRAINED = {
    "ensemble": "is an ensemble, and this needs a single model; name the model.pt of a member",
    "onnx": f"is an ONNX {_EXPORTED}",
    "torchscript": f"is a TorchScript {_EXPORTED}",
    "torch-export": f"is a torch.export {_EXPORTED}",
}


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
    """A model's file, what to call it in reports, and the result that it belongs to, if any."""

    path: Path
    name: str
    best: "Best | None" = None


def open_trained(found: Found, *, device: str = "cpu") -> "TrainedModel":
    """The network of a `model.pt` that was found.

    Raises:
        InvalidInput: it is an ensemble or an exported file.
        DataUnavailable, TrainingError: the file cannot be used.
    """
    from tuner.delivery.opened import kind_of
    from tuner.delivery.trained import open_model
    from tuner.errors import InvalidInput, Problem

    if reason := _NOT_TRAINED.get(kind_of(found.path)):
        raise InvalidInput([Problem((), reason, str(found.path))])
    return open_model(found.path, device=device, name=found.name)


def open_predictor(
    found: Found, sources: ModelSources, *, device: str = "cpu", threads: int = 0
) -> "Predictor":
    """A model of any form; members of an ensemble come from its folder or the server.

    Raises:
        InvalidInput, DataUnavailable, PackageMissing, TrainingError: as `open_any`.
    """
    from tuner.delivery.opened import open_any

    locate = partial(_member, sources)
    return open_any(found.path, device=device, threads=threads, name=found.name, locate=locate)


def find_model(target: str, sources: ModelSources) -> Found:
    """The file of a model of any form, of a result or of a study; a study's is fetched once.

    Raises:
        InvalidInput, Malformed: a result file or an ensemble that is not one.
        NotFound: no such file and no such study, or its trial kept no model.
        TrainingError: a file that is damaged.
    """
    from tuner.cli.documents import read_result
    from tuner.delivery.ensemble import read_ensemble
    from tuner.delivery.opened import kind_of
    from tuner.errors import NotFound

    path = Path(target)
    suffix = path.suffix.lower()
    if not path.is_file():
        if path.is_dir() or suffix in _FILES | _YAML:
            raise NotFound(f"there is no file {target}; name a model file, a best.json or a study")
        return _of_result(connect(sources.server, sources.token).best(target), sources, None)
    kind = "document" if suffix in _YAML else kind_of(path)
    if kind == "ensemble":
        return Found(path, f"ensemble of {read_ensemble(path).study}")
    if kind != "document":
        return Found(path, path.name)
    _, best = read_result(path)
    if best is not None:
        return _of_result(best, sources, path.with_name(_MODEL))
    if sources.weights is None:
        raise NotFound(f"{path} is a config without weights; name them with --weights model.pt")
    return Found(sources.weights, sources.weights.name)


def _member(sources: ModelSources, member: "EnsembleMember") -> Path:
    """A member's model from the folder of fetched ones or the server, if that still has it.

    Raises:
        DataUnavailable: it is in neither.
    """
    from tuner.errors import DataUnavailable, NotFound
    from tuner.training.network.weight_files import digest_of

    path = sources.cache / "models" / f"{member.sha256}.pt"
    missing = DataUnavailable(
        f"the model of trial {member.trial} is neither beside the ensemble nor on the server; put "
        "its folder of models back, or run `segtune ensemble` again"
    )
    if path.is_file():
        return path
    if member.artifact is None:
        raise missing
    try:
        connect(sources.server, sources.token).download(member.artifact, path)
    except NotFound:
        raise missing from None
    if digest_of(path) != member.sha256:  # another server numbers its files as it likes
        path.unlink()
        raise missing
    return path


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
