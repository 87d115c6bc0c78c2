"""What `segtune ensemble` reads from a study and writes: kept models, the document, its words."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.atomic import replacing
from tuner.client import Client
from tuner.delivery.ensembling import EnsembleResult
from tuner.errors import NotFound, StorageError
from tuner.spec.ensemble import EnsembleDocument, EnsembleMember, SingleBest
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef
from tuner.spec.study import Objective
from tuner.spec.views import TrialView
from tuner.training.network.weight_files import digest_of
from tuner.wording import gain, metric, percent, quantity

_DIGITS = 4
_LOOKED_AT = 20  # trials for each model that is wanted; a large study may have kept none


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A completed trial with the model that the server kept of it, and its value."""

    trial: TrialView
    artifact: ArtifactRef
    value: float


def kept_models(
    client: Client, study: str, objective: Objective, most: int
) -> tuple[KeptModel, ...]:
    """The best completed trials whose models are kept, the best first.

    Raises:
        NotFound: no trial has completed, or none kept its model.
    """
    ranking = client.ranking(study, objective.metric, direction=objective.direction)
    found: list[KeptModel] = []
    for each in ranking[: most * _LOOKED_AT]:
        if len(found) == most:
            break
        trial = client.trial(study, each.trial)
        kept = [one for one in trial.artifacts if one.kind == ArtifactKind.MODEL]
        found.extend(KeptModel(trial, one, each.value) for one in kept[:1])
    if not found:
        looked_at = min(len(ranking), most * _LOOKED_AT)
        raise NotFound(
            f"none of the best {quantity(looked_at, 'completed trial')} of study '{study}' kept a "
            "model; run the study again, a worker hands in the model of every trial that completes"
        )
    return tuple(found)


def documented(
    study: str, objective: Objective, result: EnsembleResult, kept: Sequence[KeptModel], images: int
) -> EnsembleDocument:
    """The result as a document whose members are known by artifact and digest."""
    return EnsembleDocument(
        study=study,
        dataset=kept[0].trial.config.dataset,
        metric=objective,
        value=result.value,
        single_best=SingleBest(trial=kept[result.single].trial.number, value=result.single_value),
        held_out=result.held_out,
        considered=len(kept),
        images=images,
        members=tuple(
            EnsembleMember(
                trial=kept[index].trial.number,
                weight=weight,
                sha256=kept[index].artifact.sha256,
                artifact=kept[index].artifact.id,
                value=kept[index].value,
            )
            for index, weight in result.weights.items()
        ),
    )


def models_folder(out: Path) -> Path:
    """Where the models of an ensemble's file lie: beside it."""
    return out.with_name(f"{out.stem}-models")


def with_files(
    document: EnsembleDocument, files: Mapping[int, Path], out: Path
) -> EnsembleDocument:
    """Copy the members' models, by trial, to a folder beside the document, and name them there.

    Raises:
        StorageError: they cannot be written.
    """
    folder = models_folder(out)
    members = []
    for member in document.members:
        target = folder / f"trial-{member.trial}.pt"
        try:
            _copy(files[member.trial], target, member.sha256)
        except OSError as error:
            raise StorageError(
                f"cannot write {target}: {error.strerror}; choose another --out, or make room there"
            ) from error
        path = target.relative_to(out.parent).as_posix()
        members.append(member.model_copy(update={"path": path}))
    return document.model_copy(update={"members": tuple(members)})


def _copy(source: Path, target: Path, sha256: str) -> None:
    if target.is_file() and digest_of(target) == sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as draft:
        shutil.copyfile(source, draft)


def lines(document: EnsembleDocument) -> Iterator[str]:
    """What was selected and what it gains, as words."""
    name, single = document.metric.metric, document.single_best
    members = quantity(len(document.members), "member")
    images = quantity(document.images, "validation image")
    yield (
        f"{members} of {quantity(document.considered, 'model')}: {name} "
        f"{metric(document.value, _DIGITS)} on {images}; "
        f"the best single model (trial {single.trial}) has {metric(single.value, _DIGITS)}: "
        f"{gain(document.value - single.value, _DIGITS)}"
    )
    if held := document.held_out:
        yield (
            "selected on half of the images and scored on the other: "
            f"{metric(held.value, _DIGITS)}, the single best {metric(held.single, _DIGITS)}: "
            f"{gain(held.value - held.single, _DIGITS)}; the value above is that of the images "
            "that selected the members, and so too good"
        )
    if len(document.members) == 1:
        yield "no average is better than this model by itself"
    for member in document.members:
        value = "" if member.value is None else f", {metric(member.value, _DIGITS)} by itself"
        yield f"  trial {member.trial}: weight {percent(member.weight)}{value}"
