"""Networks of which whole channels were taken away: built again from the shapes of their tensors.

A pruned `model.pt` says so beside its weights. Its config names the network as it was before; each
layer is cut to what the file's tensors have, so that nothing but torch is needed to train it on.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tuner.errors import TrainingError
from tuner.spec.validation import summary

if TYPE_CHECKING:
    from tuner.training.network.model import SegmentationModel

_Count = Annotated[int, Field(ge=1)]
_SIDE = 64  # of the images that tell the channels of an encoder's features


class PruningFacts(BaseModel):
    """What a pruned file says of how it was pruned; a later release may say more."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    ratio: Annotated[float, Field(ge=0, le=1)]
    scope: str
    classes: _Count
    channels: _Count
    layers: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    of: str = ""


def check_facts(facts: object, path: Path) -> None:
    """Raise TrainingError where a file's note of its pruning is not one."""
    try:
        PruningFacts.model_validate(facts)
    except ValidationError as error:
        raise TrainingError(
            f"{path.name} says under 'pruning' what is not a pruning of segtune: {summary(error)}; "
            "it was changed, or pruned by something else"
        ) from None


def shrink(
    model: "SegmentationModel", tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Cut a network's layers to the shapes of a pruned one's tensors; their numbers are not taken.

    `facts` are what the file says of how it was pruned; the model carries them on.

    Raises:
        TrainingError: a tensor is larger than the network's, or what is left cannot be computed.
    """
    for place, module in model.named_modules():
        cut = dict(_cut(module, place, tensors))
        if cut:
            _resize(module, cut)
    model.pruning = dict(facts)
    model.encoder.pyramid = replace(model.encoder.pyramid, channels=_channels(model))


def check_pruned(
    facts: Mapping[str, Any], path: Path, *, classes: int | None, channels: int
) -> None:
    """Raise TrainingError where a pruned file is damaged, or for other classes or images."""
    check_facts(facts, path)
    theirs = facts.get("classes"), facts.get("channels")
    if theirs != (classes or theirs[0], channels):
        raise TrainingError(
            f"{path.name} is a pruned network for classes and channels {theirs[0]} and "
            f"{theirs[1]}, the data set has {classes} and {channels}; prune one trained on those"
        )


def _cut(module: nn.Module, place: str, tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """The tensors of one module that the file has in another shape, by their last name."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    found = []
    for leaf, tensor in own:
        name = f"{place}.{leaf}" if place else leaf
        given = tensors.get(name)
        if given is None or given.shape == tensor.shape:
            continue
        sides = zip(given.shape, tensor.shape, strict=False)
        if given.ndim != tensor.ndim or any(new > old for new, old in sides):
            raise TrainingError(
                f"the file's {name} is {tuple(given.shape)}, the network of its config has "
                f"{tuple(tensor.shape)} before pruning; it is of another network"
            )
        found.append((leaf, given))
    return found


def _resize(module: nn.Module, cut: Mapping[str, Tensor]) -> None:
    """Give a module tensors of these shapes, and let its attributes say the same."""
    for leaf, given in cut.items():
        old = getattr(module, leaf)
        new = torch.zeros(given.shape, dtype=old.dtype, device=old.device)
        setattr(module, leaf, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        _resize_convolution(module)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _BatchNorm):
        module.num_features = len(next(iter(cut.values())))
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = len(module.weight)
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(module.weight.shape)


def _resize_convolution(module: nn.Conv2d | nn.ConvTranspose2d) -> None:
    first, second = module.weight.shape[:2]
    if module.groups > 1 and module.groups == module.in_channels == module.out_channels:
        module.groups = first  # a depthwise one stays so
    if isinstance(module, nn.ConvTranspose2d):
        module.in_channels, module.out_channels = first, second * module.groups
    else:
        module.out_channels, module.in_channels = first, second * module.groups


@torch.no_grad()
def _channels(model: "SegmentationModel") -> tuple[int, ...]:
    """Channels of the encoder's features as they are now, finest first."""
    encoder = model.encoder
    was_training = encoder.training
    encoder.eval()
    try:
        features = encoder(model.mean.new_zeros(1, model.channels, _SIDE, _SIDE))
    except RuntimeError as error:
        raise TrainingError(
            f"the pruned encoder cannot be computed: {str(error).splitlines()[0]}; the file was "
            "changed, or pruned by something else"
        ) from error
    finally:
        encoder.train(was_training)
    return tuple(feature.shape[1] for feature in features)
