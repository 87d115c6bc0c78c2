"""Structured pruning: whole channels taken from a trained network, with all that depend on them.

Which channels go together (through residual sums, concatenations and depthwise convolutions) is
worked out by torch-pruning's dependency graph (Fang et al. 2023); which go is decided by their
group's magnitude. What is left is checked: it must answer as the whole network does when the same
channels are zero in it.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tuner.delivery.compress.tracing import outputs, refuse_unknown, traceable, whole_layers
from tuner.delivery.needs import require
from tuner.errors import InvalidInput, Problem, TrainingError
from tuner.training.network.model import SegmentationModel
from tuner.training.network.pruned import shrink

Scope = Literal["layer", "global"]
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_SIDES = (64, 96)  # of the images that the network is followed on
_MOST = 0.9  # of a layer's channels, where all layers are ranked together
_TOLERANCE = 1e-6  # in float64, of the largest logit


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """The share of channels to take away, from each layer or where they matter least in all.

    `layers` are other shares for parts of the network, by their name: `encoder`, `decoder.fuse`.
    `round_to` keeps a multiple of so many channels in each layer.
    """

    ratio: float
    scope: Scope = "layer"
    layers: Mapping[str, float] = field(default_factory=dict)
    round_to: int = 1

    def check(self) -> None:
        """Raise InvalidInput for a share that leaves nothing or takes nothing."""
        shares = {"--ratio": self.ratio, **{f"--layer {k}": v for k, v in self.layers.items()}}
        least = {name: name != "--ratio" for name in shares}  # a layer may stay whole
        wrong = [
            Problem(
                (name,),
                f"is the share of channels to take, more than 0 and less than 1, not {share:g}",
            )
            for name, share in shares.items()
            if not (0 < share < 1 or (share == 0 and least[name]))
        ]
        if self.round_to < 1:
            wrong.append(Problem(("--round-to",), f"is at least 1, not {self.round_to}"))
        if wrong:
            raise InvalidInput(wrong)


@dataclass(frozen=True, eq=False)
class Pruned:
    """The smaller network, and the layers that kept all of their channels, by name."""

    network: SegmentationModel
    kept: tuple[str, ...]


def prune(model: SegmentationModel, plan: PruningPlan, *, classes: int, origin: str = "") -> Pruned:
    """Prune a copy of a network; `origin` is the sha256 of the file that it is from.

    Raises:
        PackageMissing: torch-pruning is not installed.
        InvalidInput: a share that is not one, or a part that the network does not have.
        TrainingError: the network cannot be pruned; the message names the layer.
    """
    plan.check()
    network = copy.deepcopy(model).cpu().double().eval().requires_grad_(True)
    zeroed = copy.deepcopy(network)
    shares = _shares(network, plan)
    images = torch.rand(1, model.channels, *_SIDES, dtype=torch.float64) * 255
    refuse_unknown(network, images)
    heads = [*_classifiers(network, classes), *whole_layers(network)]
    for group in _groups(network, images, plan, shares, heads):
        _zero(zeroed, network, group)
        group.prune()
    _check(network, zeroed, images)
    return _rebuilt(model, network, plan, classes=classes, origin=origin)


def _shares(network: nn.Module, plan: PruningPlan) -> dict[nn.Module, float]:
    """The parts with a share of their own. Raises InvalidInput for a name that is none."""
    known, found = dict(network.named_modules()), {}
    for name, share in plan.layers.items():
        if not name or name not in known:
            tops = ", ".join(each for each in known if each and each.count(".") < 2)[:300]
            raise InvalidInput(
                [
                    Problem(
                        (f"--layer {name}",), f"is not a part of the network; parts are {tops}, …"
                    )
                ]
            )
        found[known[name]] = share
    return found


def _classifiers(network: SegmentationModel, classes: int) -> list[nn.Module]:
    """Layers of the decoder that give one channel a class: their outputs stay."""
    return [
        each
        for each in network.decoder.modules()
        if isinstance(each, _LAYERS) and _outputs_of(each) == classes
    ]


def _outputs_of(layer: nn.Module) -> int:
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)  # type: ignore[arg-type]  # of `_LAYERS`


def _groups(
    network: SegmentationModel,
    images: Tensor,
    plan: PruningPlan,
    shares: Mapping[nn.Module, float],
    whole: list[nn.Module],
) -> Iterator[Any]:
    """Channels that go together, group by group, each to be pruned before the next is asked for."""
    pruning = require("torch_pruning", purpose="pruning")
    with traceable(network) as traced:
        pruner = pruning.pruner.BasePruner(
            network,
            images,
            importance=pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=plan.ratio,
            pruning_ratio_dict=dict(shares),
            global_pruning=plan.scope == "global",
            max_pruning_ratio=_MOST if plan.scope == "global" else 1.0,
            round_to=plan.round_to if plan.round_to > 1 else None,
            ignored_layers=whole,
            forward_fn=traced,
        )
    yield from pruner.step(interactive=True)


@torch.no_grad()
def _zero(zeroed: nn.Module, network: nn.Module, group: Any) -> None:
    """Set to zero in one network what a group takes from the other, where it is computed."""
    places = {module: name for name, module in network.named_modules()}
    parameters = {id(each): name for name, each in network.named_parameters()}
    for dependency, indices in group:
        target = dependency.target.module
        if isinstance(target, nn.Parameter):
            own = zeroed.get_parameter(parameters[id(target)])
            own.index_fill_(dependency.target.pruning_dim, _index(indices), 0)
        elif target in places and "out_channels" in dependency.handler.__name__:
            _silence(zeroed.get_submodule(places[target]), indices)


def _silence(layer: nn.Module, channels: Sequence[int]) -> None:
    """Have a layer give zero for these channels."""
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    for name, place in (("weight", axis), ("bias", 0)):
        tensor = getattr(layer, name, None)
        if isinstance(tensor, Tensor):
            tensor.index_fill_(place, _index(channels), 0)


def _index(channels: Sequence[int]) -> Tensor:
    return torch.tensor(channels, dtype=torch.int64)


@torch.no_grad()
def _check(network: SegmentationModel, zeroed: SegmentationModel, images: Tensor) -> None:
    """Raise TrainingError, with the layer's name, unless the smaller network gives the same."""
    place: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: place.append(name))
        for name, module in network.named_modules()
        if name
    ]
    try:
        found = outputs(network, images)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"the network cannot be pruned: its layer {place[-1]} no longer fits what it is given "
            f"({str(error).splitlines()[0]}); give it a share of its own, or keep the part that it "
            f"is in whole: --layer {place[-1].rpartition('.')[0] or place[-1]}=0"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if not all(isinstance(each, _BatchNorm) for each in _norms(network)):
        return  # a norm over channels sees fewer of them, and answers otherwise
    for own, expected in zip(found, outputs(zeroed, images), strict=True):
        scale = float(expected.abs().max())
        if not torch.allclose(own, expected, rtol=0, atol=_TOLERANCE * max(scale, 1e-3)):
            raise TrainingError(
                "the network cannot be pruned: what is left does not answer as the network does "
                "without the same channels; prune a network of another encoder or decoder"
            )


def _norms(network: nn.Module) -> Iterator[nn.Module]:
    kinds = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
    return (each for each in network.modules() if isinstance(each, kinds))


def _rebuilt(
    model: SegmentationModel, pruned: nn.Module, plan: PruningPlan, *, classes: int, origin: str
) -> Pruned:
    """A network of the kept numbers, made as one is that is opened from a file."""
    tensors = {
        name: value.to(model.state_dict()[name].dtype)
        for name, value in pruned.state_dict().items()
    }
    facts = {
        "ratio": plan.ratio,
        "scope": plan.scope,
        "classes": classes,
        "channels": model.channels,
        **({"layers": dict(plan.layers)} if plan.layers else {}),
        **({"of": origin} if origin else {}),
    }
    smaller = copy.deepcopy(model).cpu()
    shrink(smaller, tensors, facts)
    smaller.load_state_dict(tensors)
    smaller.eval().requires_grad_(False)
    before, layers = dict(model.named_modules()), smaller.named_modules()
    kept = tuple(
        name
        for name, each in layers
        if isinstance(each, _LAYERS) and _outputs_of(each) == _outputs_of(before[name])
    )
    if all(own.shape == tensors[name].shape for name, own in model.state_dict().items()):
        raise TrainingError(
            f"no layer has so many channels that a share of {plan.ratio:g} is one of them; use a "
            "larger --ratio, or a smaller --round-to"
        )
    return Pruned(smaller, kept)
