"""What an exported model says of itself, in any file format: enough to use it without its config.

It is one JSON text under the key `segtune`, in ONNX among the `metadata_props`, in TorchScript and
`torch.export` files among the extra files.
"""

import json
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import tuner
from tuner.configs.colours import colours
from tuner.delivery.trained import TrainedModel
from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.spec.stored import dump_config
from tuner.wording import quantity

KEY = "segtune"
_Byte = Annotated[int, Field(ge=0, le=255)]
_Count = Annotated[int, Field(ge=1)]
Gives = Literal["logits", "labels"]
_INPUT = (
    "images: N×C×H×W of float32, 0 … 255, not normalised (mean and std are inside); "
    "channels in the order of the data set's files, RGB where there are three"
)
_OUTPUT = {
    "logits": "logits: N×K×h×w of float32 at the decoder's stride, a channel per class",
    "labels": "labels: N×H×W of uint8, the number of the class",
}


class Facts(BaseModel):
    """Classes, image form and origin of an exported model.

    `size` is height and width that it was trained at, and the only one it takes unless
    `dynamic_size`; without `dynamic_batch` it takes one image at a time. `align_corners` is how
    logits are resized. `config` is the `TrialConfig` that it was trained by.
    """

    model_config = ConfigDict(frozen=True)

    segtune: str
    name: str
    gives: Gives
    input: str
    output: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    palette: tuple[tuple[_Byte, _Byte, _Byte], ...]
    channels: _Count
    size: tuple[_Count, _Count]
    dynamic_batch: bool
    dynamic_size: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    align_corners: bool
    ignore_index: int
    precision: str = "fp32"
    licence: str = "unknown"
    model_sha256: str
    config_sha256: str
    config: dict[str, Any]

    @model_validator(mode="after")
    def _check_counts(self) -> "Facts":
        if len(self.palette) != len(self.classes):
            shown = quantity(len(self.palette), "colour")
            raise ValueError(f"{shown} for {quantity(len(self.classes), 'class')}")
        if not len(self.mean) == len(self.std) == self.channels:
            means, deviations = len(self.mean), len(self.std)
            raise ValueError(
                f"{quantity(means, 'mean')} and {quantity(deviations, 'deviation')} for "
                f"{quantity(self.channels, 'channel')}"
            )
        return self

    @classmethod
    def of(
        cls, trained: TrainedModel, *, gives: Gives, dynamic: tuple[bool, bool], licence: str
    ) -> "Facts":
        """Those of a trained model; `dynamic` are batch and size."""
        network, dataset = trained.network, trained.config.dataset
        return cls(
            segtune=tuner.__version__,
            name=trained.name,
            gives=gives,
            input=_INPUT,
            output=_OUTPUT[gives],
            classes=trained.classes,
            palette=tuple(colours(len(trained.classes))),
            channels=trained.channels,
            size=trained.size,
            dynamic_batch=dynamic[0],
            dynamic_size=dynamic[1],
            mean=tuple(network.mean.flatten().tolist()),
            std=tuple(network.std.flatten().tolist()),
            align_corners=trained.align_corners,
            ignore_index=dataset.ignore_index,
            licence=licence,
            model_sha256=trained.sha256,
            config_sha256=digest(trained.config),
            config=dump_config(trained.config),
        )

    def text(self) -> str:
        """JSON for a file's metadata."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False)


def digest(config: TrialConfig) -> str:
    """SHA-256 of a config's JSON with sorted keys."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def parse(text: str, file: str) -> Facts:
    """The facts in a file's metadata. Raises TrainingError."""
    try:
        return Facts.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "as a whole"
        raise TrainingError(
            f"{file} holds metadata of segtune that this release cannot read ({where}: "
            f"{first['msg']}); export the model again"
        ) from error


def check_images(facts: Facts, name: str, form: tuple[int, int, int]) -> None:
    """Raise TrainingError where a model does not take images of these channels, height, width."""
    channels, *size = form
    if channels != facts.channels:
        raise TrainingError(
            f"the images have {quantity(channels, 'channel')}, {name} was trained on "
            f"{facts.channels}"
        )
    if not facts.dynamic_size and tuple(size) != facts.size:
        height, width = facts.size
        raise TrainingError(
            f"{name} takes images of {height}×{width} (height × width) only, not "
            f"{size[0]}×{size[1]}; resize them, or export it with --dynamic"
        )
