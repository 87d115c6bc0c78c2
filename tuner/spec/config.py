"""`TrialConfig`: every knob that a trial trains with. As JSON it is the best configuration.

Component options (`momentum`, `power`, `mid_channels`, …) are not listed here: they stand beside
the component's name and are declared by the `build(...)` of that component's own file, so that a
new component is one new file. `tuner.configs.resolve` checks them and fills in their defaults.
"""

import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

OptionValue = bool | int | float | str | list[Any] | None
Size = tuple[int, int]  # height, width
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A frozen part of a config that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OpenSection(BaseModel):
    """A frozen part of a config that also carries the options of the component it names."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, OptionValue] = Field(init=False)

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are not fields of this section."""
        return dict(self.__pydantic_extra__)


class DatasetConfig(OpenSection):
    """Images, masks and their classes. Options of the format (`root`, `images`, …) stand beside."""

    format: str = "folder"
    subset: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the training images, drawn by a counted draw"
    )
    holdout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of the training images that validates, where no others are for it",
    )
    fold: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=2)]] | None = Field(
        default=None, description="[k, n]: fold k of n validates, the others train"
    )
    group: str | None = Field(
        default=None,
        max_length=1000,  # compiling a long one takes seconds
        description="Regex whose first group names what `fold` and `holdout` keep together",
    )
    remap: dict[int, int] | None = Field(
        default=None, description="Labels in the files to labels of `classes`, others are ignored"
    )
    classes: tuple[str, ...] = Field(
        min_length=2,
        description="Class names; position is the label; a format with a fixed list knows its own",
    )
    ignore_index: Annotated[int, Field(ge=0, le=65535)] = 255
    size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] = Field(
        description="Height and width of the network's input, in pixels"
    )

    @model_validator(mode="after")
    def _check_division(self) -> "DatasetConfig":
        if self.fold is not None and self.fold[0] >= self.fold[1]:
            last = self.fold[1] - 1
            raise ValueError(f"fold [k, n] counts from 0: k is 0 to {last}, not {self.fold[0]}")
        if self.group is not None and _groups_of(self.group) == 0:
            raise ValueError(
                f"group '{self.group}' is not a regular expression with a group, as in ^([^_]+)_"
            )
        valid = {*range(len(self.classes)), self.ignore_index}
        wrong = sorted(set((self.remap or {}).values()) - valid)
        if wrong:
            raise ValueError(
                f"remap gives the labels {wrong}; classes are 0 to {len(self.classes) - 1}, "
                f"ignore_index is {self.ignore_index}"
            )
        return self

    @model_validator(mode="after")
    def _check_classes(self) -> "DatasetConfig":
        repeated = sorted(name for name, times in Counter(self.classes).items() if times > 1)
        if repeated:
            raise ValueError(f"classes must differ; named more than once: {', '.join(repeated)}")
        odd = [name for name in self.classes if not re.fullmatch(r"[^\s.,][^.,\n]*", name)]
        if odd:
            raise ValueError(
                f"a class name must not hold a dot or comma, so that metrics can name it: {odd}"
            )
        if self.ignore_index < len(self.classes):
            raise ValueError(
                f"ignore_index {self.ignore_index} is also the label of class "
                f"'{self.classes[self.ignore_index]}'; use {len(self.classes)} or more"
            )
        return self


def _groups_of(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError):  # nested too deep; repeated too often
        return 0


class ModelConfig(OpenSection):
    """Encoder, decoder and their options."""

    decoder: str = "ocr"
    encoder: str = "hrnet_w18_small"
    weights: str = "none"
    output_stride: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="None: the first that the decoder prefers and the encoder offers"
    )
    aux_weight: Annotated[float, Field(ge=0, le=1)] = 0.4
    norm: Literal["batch", "sync", "group", "frozen"] = Field(
        default="batch",
        description="sync: over all GPUs of a trial; group: independent of the batch; "
        "frozen: statistics stay",
    )
    freeze_epochs: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Epochs from the first on in which the encoder does not learn"
    )
    encoder_lr: Annotated[float, Field(gt=0, le=10)] = Field(
        default=1.0, description="Factor of the encoder's learning rate"
    )


class OptimizerConfig(OpenSection):
    """Optimizer. `lr` is per 8 images and is scaled to the batch size when training starts."""

    name: str = "sgd"
    lr: Annotated[float, Field(gt=0, le=100)] = 0.01
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    decay_norm: bool = Field(
        default=True, description="Whether norm scales and biases decay like other weights"
    )


class ScheduleConfig(OpenSection):
    """The learning rate over the full budget."""

    name: str = "poly"
    warmup: Share = 0.02
    warmup_kind: Literal["linear", "exponential", "constant"] = "linear"
    warmup_start: Share = Field(
        default=0.0,
        description="Share of the rate at which warm-up begins; 0 for exponential and constant: "
        "at the first step of a linear one",
    )


class LossConfig(OpenSection):
    """Training loss."""

    name: str = "cross_entropy"


class AugmentConfig(OpenSection):
    """Augmentations by name: each key is a component, its value the strength."""

    @property
    def strengths(self) -> dict[str, Any]:
        """Strength of each augmentation, by name."""
        return self.options


class TrainingConfig(Section):
    """Length, batch and exactness of a run."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 20
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    determinism: Literal["exact", "fast"] = "exact"
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    clip_value: Annotated[float, Field(gt=0)] | None = None
    clip_weights: Annotated[float, Field(gt=0)] | None = None
    micro_batch: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Images per forward pass; None: as many as fit in memory"
    )
    compile: bool = Field(
        default=False, description="Compile the network: minutes at first, for determinism fast"
    )
    init: Literal["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal"] = (
        "kaiming_normal"
    )

    @model_validator(mode="after")
    def _check_compile(self) -> "TrainingConfig":
        if self.compile and self.determinism == "exact":
            raise ValueError(
                "compile is true, but compiled kernels may differ from run to run; set "
                "determinism to fast, or compile to false"
            )
        return self


class Recipe(Section):
    """A trial's config without its data set; the defaults are the textbook recipe."""

    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()


class Change(Section):
    """Values by path that a trial trains with from an epoch on, in place of those before."""

    epoch: Annotated[int, Field(ge=2)] = Field(
        description="The first epoch with these values, counted from 1"
    )
    values: dict[str, OptionValue]

    @model_validator(mode="after")
    def _check(self) -> "Change":
        if fixed := sorted(path for path in self.values if not may_change(path)):
            raise ValueError(
                f"{', '.join(fixed)} cannot change while a trial trains; optimizer.lr, "
                "optimizer.weight_decay and augment.… can"
            )
        return self


def split_path(path: str) -> tuple[str, str]:
    """Section and key of a path: `loss.terms.1.weight` is the key `terms.1.weight` of the loss."""
    section, _, key = path.partition(".")
    return section, key


def may_change(path: str) -> bool:
    """Whether a value may change between two epochs, so that nothing else has to be built again."""
    return path in {"optimizer.lr", "optimizer.weight_decay"} or path.startswith("augment.")


class DirectedMetric(Section):
    """A metric and the direction in which it is better."""

    metric: str
    direction: Literal["maximize", "minimize"] = "maximize"

    def is_better(self, new: float, old: float) -> bool:
        """Whether `new` is strictly better than `old`."""
        return new > old if self.direction == "maximize" else new < old


class TrialConfig(Recipe):
    """Everything that a trial trains with: the recipe, its changes on the way, and its data set."""

    dataset: DatasetConfig
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    changes: tuple[Change, ...] = Field(
        default=(), description="What other values to go on with, in order of their epochs"
    )
    best_by: DirectedMetric | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # workers of the release before do not know it
        description="The model is that of the epoch that is the best by this metric; "
        "null: of the last epoch",
    )

    @model_validator(mode="after")
    def _check_changes(self) -> "TrialConfig":
        epochs = [change.epoch for change in self.changes]
        if epochs != sorted(epochs):
            raise ValueError(f"changes must be in the order of their epochs, not {epochs}")
        return self

    def until(self, epoch: int) -> "TrialConfig":
        """The config without what changes after that epoch: all that its weights depend on."""
        kept = tuple(change for change in self.changes if change.epoch <= epoch)
        return self.model_copy(update={"changes": kept})

    def at(self, epoch: int) -> "TrialConfig":
        """The config that holds in that epoch, as one without changes."""
        values: dict[str, dict[str, OptionValue]] = {}
        for change in self.until(epoch).changes:
            for path, value in change.values.items():
                section, key = split_path(path)
                values.setdefault(section, {})[key] = value
        parts = {
            section: getattr(self, section).model_copy(update=new)
            for section, new in values.items()
        }
        return self.model_copy(update={**parts, "changes": ()})
