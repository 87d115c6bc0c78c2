"""Several models as one: the weighted mean of their probabilities, opened from `ensemble.json`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from tuner.delivery.predictor import Predictor
from tuner.delivery.trained import open_model
from tuner.errors import DataUnavailable, InvalidInput, Malformed, Problem, TrainingError
from tuner.spec.config import DatasetConfig, Size
from tuner.spec.documents import parse_json
from tuner.spec.ensemble import EnsembleDocument, EnsembleMember
from tuner.spec.validation import invalid
from tuner.training.network.resize import resize
from tuner.training.network.weight_files import digest_of
from tuner.wording import quantity

Locate = Callable[[EnsembleMember], Path]
_LARGEST = 1 << 20  # bytes of an ensemble file


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Predictors whose probabilities are averaged with their weights; a `Predictor`.

    Every member gets the images as they come, in the size that the first member was trained at if
    the caller keeps to `size`, whatever size it was trained at itself. `dataset` is what they were
    trained on, where a file says so.
    """

    members: tuple[Predictor, ...]
    weights: tuple[float, ...]
    name: str = "ensemble"
    dataset: DatasetConfig | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Outputs in order, the same for every member."""
        return self.members[0].classes

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return self.members[0].channels

    @property
    def size(self) -> Size:
        """Height and width that its first member was trained at."""
        return self.members[0].size

    @property
    def align_corners(self) -> bool:
        """What it gives has the images' size; from there it is resized edge to edge."""
        return False

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Log-probabilities N×K×H×W at the images' size, of which a softmax is the mean."""
        total: Tensor | None = None
        for member, weight in zip(self.members, self.weights, strict=True):
            part = weight * probabilities(member, images)
            total = part if total is None else total + part.to(total.device)
        assert total is not None  # `joined` refuses an ensemble without members
        # No logarithm of zero: a float's smallest normal number has one, of about -87.
        return total.clamp_min_(torch.finfo(total.dtype).tiny).log_()


@torch.inference_mode()
def probabilities(predictor: Predictor, images: Tensor) -> Tensor:
    """Probabilities N×K×H×W of one predictor, at the images' size."""
    size = (images.shape[-2], images.shape[-1])
    logits = predictor.logits(images)
    return resize(logits, size, align_corners=predictor.align_corners).softmax(dim=1)


def joined(
    members: Sequence[Predictor], weights: Sequence[float], *, name: str = "ensemble"
) -> Ensemble:
    """An ensemble of these members; weights are scaled to add up to 1.

    Raises:
        TrainingError: there is none, or they differ in their classes or channels.
    """
    if not members or sum(weights) <= 0:
        raise TrainingError(f"{name} has no members; name at least one model with a weight above 0")
    first = members[0]
    for other in members[1:]:
        check_alike(first, other)
    total = sum(weights)
    return Ensemble(tuple(members), tuple(weight / total for weight in weights), name)


def check_alike(first: Predictor, other: Predictor) -> None:
    """Raise TrainingError where two predictors cannot be averaged."""
    if len(other.classes) != len(first.classes):
        raise TrainingError(
            f"{other.name} has {len(other.classes)} classes, {first.name} has "
            f"{len(first.classes)}; models are averaged class by class: take models of one data set"
        )
    if other.classes != first.classes:
        at, mine, theirs = next(
            (at, mine, theirs)
            for at, (mine, theirs) in enumerate(zip(first.classes, other.classes, strict=True))
            if mine != theirs
        )
        raise TrainingError(
            f"{other.name} calls class {at} '{theirs}', {first.name} calls it '{mine}'; models are "
            "averaged class by class: take models of one data set"
        )
    if other.channels != first.channels:
        raise TrainingError(
            f"{other.name} takes images of {quantity(other.channels, 'channel')}, {first.name} of "
            f"{first.channels}; all members of an ensemble are given the same image"
        )


def is_ensemble(path: Path) -> bool:
    """Whether a file is an ensemble's, by its content."""
    with path.open("rb") as file:
        head = file.read(_LARGEST)
    if not head.lstrip().startswith(b"{"):
        return False
    try:
        found = json.loads(head)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("kind") == "ensemble"


def read_ensemble(path: Path) -> EnsembleDocument:
    """The document in a file.

    Raises:
        DataUnavailable: there is no such file.
        InvalidInput: it does not hold an ensemble.
    """
    if not path.is_file():
        raise DataUnavailable(
            f"there is no ensemble file {path}; `segtune ensemble STUDY` writes one"
        )
    try:
        found = parse_json(path.read_bytes())
        return EnsembleDocument.model_validate(found)
    except Malformed as error:
        raise InvalidInput([Problem((), f"is not JSON: {error}", str(path))]) from None
    except ValidationError as error:
        problems = invalid(error, EnsembleDocument).problems
        raise InvalidInput(
            [Problem(each.location, each.message, str(path)) for each in problems]
        ) from None


def open_ensemble(
    path: Path, *, device: str = "cpu", locate: Locate | None = None, name: str = ""
) -> Ensemble:
    """Open an ensemble with every member that it names.

    Args:
        locate: where a member's model is that is not at its `path`; without it such a member is
            missing.

    Raises:
        DataUnavailable: the file, or a member's model, is not there.
        InvalidInput: the file does not hold an ensemble.
        TrainingError: a member cannot be opened, is not the one that was selected, or the members
            do not fit together.
    """
    document = read_ensemble(path)
    members = []
    for member in document.members:
        model = locate_member(member, path.parent, locate)
        opened = open_model(model, device=device, name=f"trial {member.trial} of {document.study}")
        if opened.classes != document.classes:
            raise TrainingError(
                f"{opened.name} has the classes {', '.join(opened.classes)}; {path.name} was made "
                f"for {', '.join(document.classes)}"
            )
        members.append(opened)
    weights = [member.weight for member in document.members]
    found = joined(members, weights, name=name or f"ensemble of {document.study}")
    return replace(found, dataset=document.dataset)


def locate_member(member: EnsembleMember, folder: Path, locate: Locate | None) -> Path:
    """The model file of a member, which must be the one that was selected.

    Raises:
        DataUnavailable: it is not there.
        TrainingError: another file is in its place.
    """
    if member.path is not None and (found := folder / member.path).is_file():
        if digest_of(found) != member.sha256:
            raise TrainingError(
                f"{found} is not the model of trial {member.trial} that the ensemble was made of: "
                "its sha256 differs; put that file back, or run `segtune ensemble` again"
            )
        return found
    if locate is None:
        where = f"{folder / member.path}" if member.path else "a file of its own"
        raise DataUnavailable(
            f"the model of trial {member.trial} is not there: the ensemble expects {where}; keep "
            "the folder of its members beside it, or run `segtune ensemble` again"
        )
    return locate(member)
