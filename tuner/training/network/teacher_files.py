"""What a loss may name as its teacher: a `model.pt`, or an `ensemble.json` of several."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tuner.errors import Malformed, TrainingError, WeightsUnavailable
from tuner.spec.documents import parse_json
from tuner.training import paths
from tuner.training.network.encoder import Encoder
from tuner.training.network.model import SegmentationModel
from tuner.training.network.model_files import read_model
from tuner.training.network.weight_files import digest_of

_LARGEST = 1 << 20  # bytes of an ensemble file


class Teacher(nn.Module):
    """One network or several, which answer by the weighted mean of their probabilities."""

    def __init__(
        self,
        members: Sequence[SegmentationModel],
        weights: Sequence[float],
        *,
        classes: tuple[str, ...],
        sha256: str,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights = tuple(weight / sum(weights) for weight in weights)
        self.classes, self.sha256 = classes, sha256
        self.channels = members[0].channels
        self.eval()

    @property
    def encoder(self) -> Encoder | None:
        """The one whose features are compared; several networks have none in common."""
        alone = len(self.members) == 1
        return cast(SegmentationModel, self.members[0]).encoder if alone else None

    def forward(self, images: Tensor) -> Tensor:
        """Logits in float32 at the images' size, of several the logarithms of their mean."""
        if len(self.members) == 1:
            logits: Tensor = self.members[0](images)[0].float()
            return logits
        parts = [
            weight * member(images)[0].float().softmax(dim=1)
            for weight, member in zip(self.weights, self.members, strict=True)
        ]
        mean = torch.stack(parts).sum(dim=0)
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()


def open_teacher(path: Path, roots: Sequence[Path]) -> Teacher:
    """Open a teacher's file; members of an ensemble lie beside it, below an allowed root.

    Raises:
        WeightsUnavailable: the file of a member is not there.
        TrainingError: a file is damaged, is not a model, or not the member that was selected.
    """
    members = _members(path)
    if members is None:
        opened = read_model(path)
        classes = opened.config.dataset.classes
        return Teacher([opened.network], [1.0], classes=classes, sha256=opened.sha256)
    found = [_opened(member, path, roots) for member in members]
    classes = found[0].config.dataset.classes
    if any(each.config.dataset.classes != classes for each in found):
        raise TrainingError(f"the members of {path.name} were trained on different classes")
    weights = [float(member["weight"]) for member in members]
    networks = [each.network for each in found]
    return Teacher(networks, weights, classes=classes, sha256=digest_of(path))


def _opened(member: Mapping[str, Any], path: Path, roots: Sequence[Path]) -> Any:
    place = path.parent / str(member.get("path"))
    if not place.is_file() or not paths.is_allowed(place, roots):
        raise WeightsUnavailable(
            f"ensemble {path.name}: its member {place.name} does not lie beside it below an "
            "allowed root of this worker; put its members' files there"
        )
    opened = read_model(place)
    if opened.sha256 != member.get("sha256"):
        raise TrainingError(
            f"ensemble {path.name}: {place.name} is not the model that was selected, its sha256 "
            "differs; put that file back, or make the ensemble again"
        )
    return opened


def _members(path: Path) -> list[Mapping[str, Any]] | None:
    """Members of an ensemble's file; None for any other. Raises TrainingError for a broken one."""
    with path.open("rb") as file:
        head = file.read(_LARGEST)
    if not head.lstrip().startswith(b"{"):
        return None
    try:
        body = parse_json(head)
    except Malformed as error:
        raise TrainingError(f"teacher {path.name} is not JSON: {error}") from None
    members = body.get("members") if isinstance(body, dict) else None
    if not isinstance(members, list) or not members or not all(map(_is_member, members)):
        raise TrainingError(
            f"teacher {path.name} is JSON, but not an ensemble: it lists no members with path, "
            "sha256 and weight; name a model.pt, or what `segtune ensemble` wrote"
        )
    return members


def _is_member(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("path"), str)
        and isinstance(value.get("sha256"), str)
        and isinstance(value.get("weight"), int | float)
        and value["weight"] > 0
    )
