"""Where a network leaves one value per channel of an image, from which batch norm cannot learn.

Decoders and encoders say what is needed for it: see `tuner.configs.traits`.
"""

from math import ceil

from tuner.configs import catalog
from tuner.configs.traits import DecoderTraits, EncoderTraits
from tuner.errors import UnknownComponent
from tuner.spec.config import ModelConfig, TrainingConfig


def single(training: TrainingConfig, at_once: int | None = None, gpus: int = 1) -> str | None:
    """Why an image passes alone, or None if none does; `at_once` is what memory allowed for.

    A batch is divided into parts that differ by one image at most: first among GPUs, then by what
    passes at once.
    """
    batch, micro = training.batch_size, training.micro_batch
    least, most = batch // gpus, ceil(batch / gpus)  # a GPU without an image is another matter
    size = min(at_once or micro or most, most)
    if not least or all(share // ceil(share / size) > 1 for share in (least, most)):
        return None
    if batch == 1:
        return "training.batch_size is 1"
    if least == 1 and gpus > 1:
        return f"training.batch_size is {batch}, of which each of {gpus} GPUs may get one image"
    what = f"training.micro_batch is {micro}" if micro == size else f"memory holds {size} at once"
    rest = "" if size == 1 else ", which leaves a part of one image"
    return f"{what} of a batch of {batch}{rest}"


def cause(model: ModelConfig, size: tuple[int, int]) -> str | None:
    """What leaves batch norm one value per channel of an image of that size, or None if nothing.

    Networks whose encoder says nothing of its norms may still do so.
    """
    if model.norm not in {"batch", "sync"}:
        return None
    try:
        decoder = catalog.traits(DecoderTraits, model.decoder)
        encoder = catalog.traits(EncoderTraits, model.encoder)
    except UnknownComponent:
        return None
    if decoder.normalises == "image":
        return f"the image pooling of {model.decoder} leaves one value per channel"
    stride = encoder.coarsest_stride or model.output_stride or _preferred(decoder, encoder)
    is_normed = encoder.batch_norm or decoder.normalises
    if stride is None or not is_normed or max(size) > stride:
        return None
    return (
        f"{model.encoder} turns an image of {size[0]}×{size[1]} into one pixel at its stride "
        f"of {stride}"
    )


def remedy(cause: str) -> str:
    """What to do so that batch norm sees more than one value."""
    larger = "use a larger dataset.size, " if "one pixel" in cause else ""
    return f"let two or more images pass at once, {larger}or use model.norm: group or frozen"


def _preferred(decoder: DecoderTraits, encoder: EncoderTraits) -> int | None:
    """The output stride that a config gets which does not say it."""
    common = (each for each in decoder.output_strides if each in encoder.output_strides)
    return next(common, None)
