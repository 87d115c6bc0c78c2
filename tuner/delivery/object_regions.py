"""What an object-contextual decoder attends to (OCRNet; Yuan, Chen and Wang 2020)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tuner.delivery.trained import TrainedModel
from tuner.errors import TrainingError
from tuner.training.decoders._object_context import ObjectAttention, region_weights


@dataclass(frozen=True, eq=False)
class ObjectRegions:
    """Attention maps K×h×w at the decoder's stride.

    `regions`: how much each position counts for the representation of each class; over all
    positions it adds up to 1. `relation`: how much each pixel reads from each class; over the
    classes it adds up to 1.
    """

    regions: NDArray[np.float32]
    relation: NDArray[np.float32]


@torch.inference_mode()
def object_regions(model: TrainedModel, image: Tensor) -> ObjectRegions:
    """The attention of one 1×C×H×W image in 0 … 255.

    Raises:
        TrainingError: the decoder has no object regions.
    """
    attention = _attention(model)
    if attention is None:
        raise TrainingError(
            f"the decoder {model.config.model.decoder} has no object regions; ocr and asp_ocr have"
        )
    seen: list[tuple[Tensor, Tensor]] = []

    def note(module: nn.Module, given: tuple[Tensor, Tensor]) -> None:
        seen.append(given)

    handle = attention.register_forward_pre_hook(note)
    try:
        _, regions = model.network.coarse(image.to(model.device).float())
    finally:
        handle.remove()
    assert regions is not None  # the decoder's auxiliary logits are its regions
    pixels, objects = seen[0]
    weights = attention.relation(pixels, objects)  # 1×HW×K
    relation = weights.transpose(1, 2).reshape(-1, *pixels.shape[-2:])
    shares = region_weights(regions).reshape(-1, *regions.shape[-2:])
    return ObjectRegions(shares.cpu().numpy(), relation.cpu().numpy())


def has_object_regions(model: TrainedModel) -> bool:
    """Whether the model's decoder has any."""
    return _attention(model) is not None


def _attention(model: TrainedModel) -> ObjectAttention | None:
    parts = model.network.decoder.modules()
    return next((part for part in parts if isinstance(part, ObjectAttention)), None)
