"""Normalisation that does not depend on the batch (Wu and He 2018)."""

from timm.layers.norm_act import BatchNormAct2d, GroupNormAct
from torch import nn

_GROUPS = (32, 16, 8, 4, 2)
# A group of fewer channels says nothing where one value per channel is left, after pooling.
_LEAST = 4


def to_groups(model: nn.Module) -> None:
    """Put a group norm in place of each batch norm; scales and shifts keep names and values."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, _like(module))


def keep_statistics(model: nn.Module) -> None:
    """Switch every batch norm to the statistics that it has; its scales still learn."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def groups_of(channels: int) -> int:
    """Groups for that many channels: 32, or the next power of two that leaves four in each."""
    fitting = (n for n in _GROUPS if channels % n == 0 and channels >= _LEAST * n)
    return next(fitting, 1)


def _like(old: nn.BatchNorm2d) -> nn.GroupNorm:
    groups, channels = groups_of(old.num_features), old.num_features
    new: nn.GroupNorm
    if isinstance(old, BatchNormAct2d):
        new = GroupNormAct(channels, groups, eps=old.eps, apply_act=False)
        new.drop, new.act = old.drop, old.act
    else:
        new = nn.GroupNorm(groups, channels, eps=old.eps)
    new.weight, new.bias = old.weight, old.bias
    return new
