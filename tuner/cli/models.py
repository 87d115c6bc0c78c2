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


def open_predictor(target: str, sources: ModelSources, *, device: str = "cpu") -> "Predictor":
    """The ensemble that a target names, with members from its folder or the server, or the model.

    Raises:
        InvalidInput, NotFound, DataUnavailable, TrainingError: as `open_trained`, and where a
            member is missing or does not fit the others.
    """
    from tuner.delivery.ensemble import is_ensemble, open_ensemble

    path = Path(target)
    if not path.is_file() or not is_ensemble(path):
        return open_trained(target, sources, device=device)
    return open_ensemble(path, device=device, locate=partial(_member, sources))


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
    _refuse_ensemble(path)
    _, best = read_result(path)
    if best is not None:
        return _of_result(best, sources, path.with_name(_MODEL))
    if sources.weights is None:
        raise NotFound(f"{path} is a config without weights; name them with --weights model.pt")
    return Found(sources.weights, sources.weights.name)


def _refuse_ensemble(path: Path) -> None:
    from tuner.delivery.ensemble import is_ensemble
    from tuner.errors import InvalidInput, Problem

    if is_ensemble(path):
        message = "is an ensemble, and this needs a single model; name the model.pt of a member"
        raise InvalidInput([Problem((), message, str(path))])


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
