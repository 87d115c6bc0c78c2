"""Which layers share their channels: a forward pass that torch-pruning can follow, or a refusal.

torch-pruning reads the dependencies from the gradient's graph. It takes every operation that it
does not know for one that leaves channels where they are. That is wrong where feature maps are
multiplied with each other or their channels and positions change places. OCR's attention is such a
place, and stands here for what it does to channels; any other is refused by name.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tuner.errors import TrainingError
from tuner.training.decoders._object_context import ObjectAttention
from tuner.training.network.model import SegmentationModel

_IMAGE = 4  # axes of N×C×H×W
_PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "bmm", "einsum", "baddbmm"})
_ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})
_MOVES = frozenset({"flatten", "reshape", "view", "unflatten", "permute", "transpose", "unfold"})
_RECURRENT = (nn.RNNBase, nn.MultiheadAttention)


def outputs(model: SegmentationModel, images: Tensor) -> list[Tensor]:
    """Logits and auxiliary logits in evaluation mode, the latter also where only training asks."""
    model.eval()
    model.decoder.training = True  # itself alone: heads that it asks for while it trains
    try:
        return [each for each in model.coarse(images) if each is not None]
    finally:
        model.decoder.training = False


@contextmanager
def traceable(model: SegmentationModel) -> Iterator[Callable[[nn.Module, Tensor], list[Tensor]]]:
    """A forward pass to trace within the block, in which attention to regions is a stand-in.

    Channels of the regions' features are those of the pixels' that they are means of; the products
    of query and key have no channels of either, so that both end here.
    """
    ends: list[Tensor] = []

    def stand_in(attention: ObjectAttention) -> Callable[[Tensor, Tensor], Tensor]:
        def forward(pixels: Tensor, objects: Tensor) -> Tensor:
            ends.extend((attention.query(pixels), attention.key(pixels)))
            up: Tensor = attention.up(attention.value(pixels))
            return up

        return forward

    def traced(_: nn.Module, images: Tensor) -> list[Tensor]:
        ends.clear()
        return [*outputs(model, images), *ends]

    def keep(encoder: nn.Module, images: Any, features: Sequence[Tensor]) -> None:
        ends.extend(features)  # a decoder may leave some unused, whose layers are followed too

    with ExitStack() as stack:
        stack.callback(model.encoder.net.register_forward_hook(keep).remove)
        for attention in _attentions(model):
            attention.forward = stand_in(attention)  # type: ignore[assignment]  # until the end
            stack.callback(attention.__dict__.pop, "forward")
        yield traced


def whole_layers(model: SegmentationModel) -> list[nn.Module]:
    """Layers of OCR's attention whose channels stay: how many there are scales its softmax."""
    return [
        [each for each in part.modules() if isinstance(each, nn.Conv2d)][-1]
        for attention in _attentions(model)
        for part in (attention.query, attention.key)
    ]


def refuse_unknown(model: SegmentationModel, images: Tensor) -> None:
    """Raise TrainingError for the first layer whose channels cannot be followed."""
    with traceable(model) as traced, ExitStack() as stack:
        places = {module: name for name, module in model.named_modules()}
        # What they do themselves is to gather the regions' features, which the stand-in leaves out.
        gathering = {each for each in places if any(_is_attention(c) for c in each.children())}
        watch = _Watch(places, gathering)
        for module in places:
            hooks = (
                module.register_forward_pre_hook(watch.enter),
                module.register_forward_hook(watch.leave),
            )
            for hook in hooks:
                stack.callback(hook.remove)
        with watch:
            traced(model, images)


def _attentions(model: nn.Module) -> list[ObjectAttention]:
    return [each for each in model.modules() if isinstance(each, ObjectAttention)]


def _is_attention(module: nn.Module) -> bool:
    return isinstance(module, ObjectAttention)


class _Watch(TorchFunctionMode):
    """Looks at every operation with the module that does it."""

    def __init__(self, places: Mapping[nn.Module, str], trusted: Collection[nn.Module]) -> None:
        super().__init__()
        self._places, self._trusted = places, trusted
        self._stack: list[nn.Module] = []

    def enter(self, module: nn.Module, inputs: Any) -> None:
        self._stack.append(module)
        if isinstance(module, _RECURRENT):
            self._refuse("carries what it knows from position to position")

    def leave(self, module: nn.Module, inputs: Any, found: Any) -> None:
        self._stack.pop()

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        found = function(*args, **(kwargs or {}))
        if self._stack and self._stack[-1] in self._trusted:
            return found
        learning = [each for each in _tensors(args) if each.requires_grad and not each.is_leaf]
        if name in _ATTENTION or (name in _PRODUCTS and len(learning) > 1):
            self._refuse("multiplies feature maps with each other")
        if name in _MOVES and learning and _mixes(learning[0], found):
            self._refuse("gives channels and positions each other's place")
        return found

    def _refuse(self, why: str) -> None:
        module = self._stack[-1] if self._stack else None
        place = self._places.get(module, "") if module is not None else ""
        kind = type(module).__name__.lstrip("_")
        raise TrainingError(
            f"the network cannot be pruned: its layer {place or 'itself'} ({kind}) {why}, so that "
            "its channels cannot be told apart; prune a network of another encoder or decoder, or "
            "distil this one into a smaller one"
        )


def _tensors(args: Sequence[Any]) -> Iterator[Tensor]:
    for each in args:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _mixes(given: Tensor, found: Any) -> bool:
    """Whether a map of several positions came out with something else for channels."""
    if not isinstance(found, Tensor) or given.ndim != _IMAGE:
        return False
    positions = given.shape[2] * given.shape[3]
    return positions > 1 and (found.ndim != _IMAGE or found.shape[1] != given.shape[1])
