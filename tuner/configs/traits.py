"""What component files say of themselves in capitals, by kind.

`OBJECTIVES = "one"` at the top of a sampler's file becomes `SamplerTraits.objectives`. A name that
no kind's traits have, or a value of another type, is refused when the file is read, so that a
typing mistake cannot pass for a default. What begins with `_` is a file's own.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Traits(BaseModel):
    """Of any component; `names` where one file serves several (an encoder family)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: ClassVar[str]
    names: tuple[str, ...] = ()


class EncoderTraits(Traits):
    """`output_strides` that it can be built with; `batch_norm` says that it has such norms.

    `coarsest_stride` is that of its deepest features, where it is not the output stride. A file
    that serves every suitable model of timm gives the `prefix` of their names, and by timm's file
    the `strides` that they can have; its `names` are examples.
    """

    kind = "encoder"
    output_strides: tuple[int, ...]
    batch_norm: bool = False
    coarsest_stride: int | None = None
    prefix: str | None = None
    strides: Mapping[str, tuple[int, ...]] = {}


class DecoderTraits(Traits):
    """`output_strides` of encoders that it takes, the one to prefer first.

    `finest_stride` is that of the finest features it reads; `normalises` says where batch norm may
    get one value per channel: after image pooling, or at the coarsest features; `rates` are the
    atrous rates by output stride.
    """

    kind = "decoder"
    output_strides: tuple[int, ...]
    finest_stride: int = 4
    normalises: Literal["image", "coarsest"] | None = None
    rates: Mapping[int, tuple[int, ...]] | None = None


class LossTraits(Traits):
    """`terms` is the option that holds other losses; `teacher` the one that names a model file."""

    kind = "loss"
    terms: str | None = None
    teacher: str | None = None


class OptimizerTraits(Traits):
    """`lr_scaling` is the rule by which the learning rate follows the batch size."""

    kind = "optimizer"
    lr_scaling: Literal["linear", "sqrt", "none"]


class ScheduleTraits(Traits):
    """A schedule says nothing of itself."""

    kind = "schedule"


class AugmentTraits(Traits):
    """What its `build` gives (see `tuner.training.batches.augmentation`), and when.

    `draws` are the random numbers that it takes per sample; `places` are those of them that decide
    where a window lies.
    """

    kind = "augment"
    acts_on: Literal["position", "colour", "choice", "pixels", "mix", "hole", "policy"]
    order: int
    draws: int
    places: tuple[int, ...] = ()


class DatasetTraits(Traits):
    """`classes` of its labels in order; `other_classes` where a study may name others instead.

    `colours` are those that its authors paint the classes in, red, green and blue of 0 … 255.
    """

    kind = "dataset"
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    other_classes: bool = False


class SamplerTraits(Traits):
    """What a sampler cannot do, so that it is said at submission instead of being done badly.

    `conditional` false: takes no `when`. `numeric`: is of no use without a range of numbers.
    `learns_from_paused` false: learns from trials that have ended only. `judges`: decides itself
    which trials go on. `ahead`: is slow, so that it draws outside of the study's lock, and ahead of
    need. `systematic`: follows a plan, which no draw from elsewhere may interrupt. `exhaustive`:
    draws every point of a finite space. `portfolio`: lets several samplers draw, as often as each
    has earned. `needs` are packages that the server must have.
    """

    kind = "sampler"
    conditional: bool = True
    objectives: Literal["one", "several"] = "several"
    constraints: bool = True
    numeric: bool = False
    learns_from_paused: bool = True
    judges: bool = False
    ahead: bool = False
    systematic: bool = False
    exhaustive: bool = False
    portfolio: bool = False
    needs: tuple[str, ...] = ()


class PrunerTraits(Traits):
    """`peers` false: looks at one trial by itself. `pauses`: trials wait at rungs for promotion.

    `staged`: a rung may be a training of its own, on fewer images or smaller ones.
    """

    kind = "pruner"
    objectives: Literal["one", "several"] = "several"
    peers: bool = True
    pauses: bool = False
    staged: bool = False


OF_KIND: Mapping[str, type[Traits]] = {
    traits.kind: traits
    for traits in (
        EncoderTraits,
        DecoderTraits,
        LossTraits,
        OptimizerTraits,
        ScheduleTraits,
        AugmentTraits,
        DatasetTraits,
        SamplerTraits,
        PrunerTraits,
    )
}
