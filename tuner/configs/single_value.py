"""Where a network leaves one value per channel of an image, from which batch norm cannot learn.

Decoders say it in a constant: `NORMALISES = "image"` where batch norm follows image pooling,
`"coarsest"` where it follows the coarsest features. Encoders say `BATCH_NORM = True`, and the
`COARSEST_STRIDE` where it is not the output stride.
"""

from collections.abc import Iterator
from math import ceil
from typing import Any

from tuner.configs import catalog
from tuner.configs.catalog import Component
from tuner.errors import UnknownComponent
from tuner.spec.config import ModelConfig, TrainingConfig


def single(training: TrainingConfig, at_once: int | None = None) -> str | None:
    """Why an image passes alone, or None if none does; `at_once` is what memory allowed for.

    A batch is divided into parts that differ by one image at most.
    """
    batch, micro = training.batch_size, training.micro_batch
    size = min(at_once or micro or batch, batch)
    if batch // ceil(batch / size) > 1:
        return None
    if batch == 1:
        return "training.batch_size is 1"
    what = f"training.micro_batch is {micro}" if micro == size else f"memory holds {size} at once"
    rest = "" if size == 1 else ", which leaves a part of one image"
    return f"{what} of a batch of {batch}{rest}"


def cause(model: ModelConfig, size: tuple[int, int]) -> str | None:
    """What leaves batch norm one value per channel of an image of that size, or None if nothing.

    Networks whose encoder says nothing of its norms may still do so.
    """
    if model.norm != "batch":
        return None
    try:
        decoder = catalog.find("decoder", model.decoder)
        encoder = catalog.find("encoder", model.encoder)
    except UnknownComponent:
        return None
    if decoder.constants.get("NORMALISES") == "image":
        return f"the image pooling of {decoder.name} leaves one value per channel"
    stride = _coarsest(model, decoder, encoder)
    is_normed = encoder.constants.get("BATCH_NORM") or decoder.constants.get("NORMALISES")
    if stride is None or not is_normed or max(size) > stride:
        return None
    return (
        f"{encoder.name} turns an image of {size[0]}×{size[1]} into one pixel at its stride "
        f"of {stride}"
    )


def remedy(cause: str) -> str:
    """What to do so that batch norm sees more than one value."""
    larger = "use a larger dataset.size, " if "one pixel" in cause else ""
    return f"let two or more images pass at once, {larger}or use model.norm: group or frozen"


def _coarsest(model: ModelConfig, decoder: Component, encoder: Component) -> Any:
    if "COARSEST_STRIDE" in encoder.constants:
        return encoder.constants["COARSEST_STRIDE"]
    return model.output_stride or next(_common(decoder, encoder), None)


def _common(decoder: Component, encoder: Component) -> Iterator[int]:
    offered = encoder.constants["OUTPUT_STRIDES"]
    return (each for each in decoder.constants["OUTPUT_STRIDES"] if each in offered)
