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
MODEL_FILES = {".json", ".onnx", ".pt", ".pt2", ".pth", ".safetensors", ".ts"}
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
        if suffix in MODEL_FILES | _YAML:
            raise NotFound(f"there is no file {target}; name a model file, a best.json or a study")
        return _of_study(target, sources)
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


def _of_study(study: str, sources: ModelSources) -> Found:
    """The best model of a study, which a folder of the same name here does not hide."""
    from tuner.errors import NotFound

    try:
        best = connect(sources.server, sources.token).best(study)
    except NotFound as error:
        if not Path(study).is_dir():
            raise
        raise NotFound(f"{error}; {study} here is a folder: name a model file in it") from None
    return _of_result(best, sources, None)


def _member(sources: ModelSources, member: "EnsembleMember") -> Path:
    """A member's model from the folder of fetched ones or the server, if that still has it.

    Raises:
        DataUnavailable: it is in neither.
    """
    from tuner.errors import DataUnavailable, DigestMismatch, NotFound

    try:
        return _kept(member.sha256, member.artifact, sources)
    except (DigestMismatch, NotFound):  # another server numbers its files as it likes
        raise DataUnavailable(
            f"the model of trial {member.trial} is neither beside the ensemble nor on the server; "
            "put its folder of models back, or run `segtune ensemble` again"
        ) from None


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
    """A trial's model from the folder of fetched ones, or from the server.

    Raises:
        NotFound: it kept none, or the server has it no more.
        DigestMismatch: the server has another file under its number.
    """
    from tuner.errors import NotFound

    if kept is None:
        raise NotFound(
            f"{name} kept no model; train it again with `segtune train`, and name its model.pt"
        )
    return _kept(kept.sha256, kept.id, sources)


def _kept(sha256: str, artifact: int | None, sources: ModelSources) -> Path:
    """The model of a digest from the folder of fetched ones; another file there is replaced.

    Raises:
        DigestMismatch, NotFound: the server has another file under that number, or none.
    """
    from tuner.atomic import replacing
    from tuner.errors import DigestMismatch, NotFound
    from tuner.training.network.weight_files import digest_of

    path = sources.cache / "models" / f"{sha256}.pt"
    if path.is_file() and digest_of(path) == sha256:
        return path
    if artifact is None:
        raise NotFound(
            f"the model {sha256} was not fetched before, and no server is said to have it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        connect(sources.server, sources.token).download(artifact, draft)
        if (found := digest_of(draft)) != sha256:
            raise DigestMismatch(
                f"the server's artifact {artifact} has sha256 {found}, not {sha256} as was named; "
                "name the server that trained the model, or the model.pt with --weights"
            )
    return path


def _artifacts(best: "Best") -> "Sequence[ArtifactRef]":
    """The files that a result's trial kept. Raises InvalidInput."""
    from pydantic import TypeAdapter, ValidationError

    from tuner.errors import InvalidInput, Problem
    from tuner.spec.messages import ArtifactRef
    from tuner.spec.validation import invalid

    listed = best.provenance.get("artifacts") or ()
    try:
        return TypeAdapter(tuple[ArtifactRef, ...]).validate_python(listed)
    except ValidationError as error:
        place = ("provenance", "artifacts")
        found = invalid(error, ArtifactRef).problems
        raise InvalidInput(
            [Problem((*place, *each.location), each.message) for each in found]
        ) from None
