"""Weights from a file in the layout of timm, torchvision, SMP, our checkpoints and their relatives.

Names are compared without their prefix, and where a library names the same network otherwise
(torchvision's MobileNet and EfficientNet), tensor by tensor in their order, if every shape agrees.
A file must have every tensor of the encoder, and no other of a network, heads aside.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from tuner.configs import catalog
from tuner.configs.traits import EncoderTraits
from tuner.errors import TrainingError
from tuner.training.network.pruned import check_pruned, shrink
from tuner.training.network.weight_files import digest_of, locate, read
from tuner.wording import quantity

if TYPE_CHECKING:
    from tuner.training.network.model import SegmentationModel

__all__ = ["Matched", "load", "locate", "norm_eps", "set_norm_eps"]

logger = logging.getLogger(__name__)
_OWN = "encoder.net."
_PREFIXES = (_OWN, "encoder.", "backbone.", "")
_SEGMENTATION_HEADS = ("classifier.", "aux_classifier.")
# First parts of names that do not belong to an encoder: classifiers, segmentation heads, and what
# trainings without labels put on top (MoCo, SimSiam, BYOL, SwAV, DINO, Barlow Twins) or beside.
_HEADS = frozenset(
    [
        "fc",
        "classifier",
        "classif",
        "head",
        "heads",
        "head_dist",
        "last_layer",
        "last_linear",
        "logits",
        "linear",
        "lin_cls",
        "aux_classifier",
        "aux",
        "aux_head",
        "auxlayer",
        "auxiliary_head",
        "cls_head",
        "seg_head",
        "segmentation_head",
        "decode_head",
        "decoder",
        "classification_head",
        "ocr_distri_head",
        "ocr_gather_head",
        "conv3x3_ocr",
        "projector",
        "projection",
        "projection_head",
        "proj_head",
        "predictor",
        "prediction_head",
        "prototypes",
        "mlp",
        "online_classifier",
        "queue",
        "queue_ptr",
        "contrast",
        "momentum_encoder",
        "conv_head",
        "final_layer",
        "final_conv",
        "global_pool",
        "avgpool",
        "mean",
        "std",
        "AuxLogits",
    ]
)
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COUNTED = "num_batches_tracked"
_RGB = 3
_TAIL = 6  # a last convolution and its norm, which a feature extractor does not build
# Batch norms of torchvision that add more to the variance than timm's do.
_TORCHVISION_EPS: Mapping[str, float] = dict.fromkeys(
    (
        *("mobilenetv3_large_100", "mobilenetv3_small_100"),
        *("efficientnet_b5", "efficientnet_b6", "efficientnet_b7"),
        *("efficientnetv2_s", "efficientnetv2_m", "efficientnetv2_l"),
    ),
    1e-3,
)
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Matched:
    """Which tensors of the model were in the file, which were not or had another shape, and which
    of the file's were left out.
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    reshaped: tuple[str, ...]
    ignored: tuple[str, ...]
    digest: str = ""

    def __str__(self) -> str:
        """Give counts, and the first names of what was left as initialised."""
        left = [*self.missing, *self.reshaped]
        total = len(self.loaded) + len(left)
        return (
            f"{len(self.loaded)} of {quantity(total, 'tensor')} matched; not in the file: "
            f"{len(self.missing)}; of another shape there: {len(self.reshaped)}{_first(left)}; "
            f"{len(self.ignored)} of the file's were not used{_first(self.ignored)}"
        )

    def facts(self) -> dict[str, Any]:
        """For the provenance: the file's name and bytes, counts, and the report in words."""
        return {
            "source": self.source,
            "sha256": self.digest,
            "loaded": len(self.loaded),
            "missing": len(self.missing),
            "reshaped": len(self.reshaped),
            "ignored": len(self.ignored),
            "report": f"{self.source}: {self}",
        }


def load(
    model: nn.Module,
    path: Path,
    *,
    encoder: str = "the config's encoder",
    classes: int | None = None,
) -> Matched:
    """Load what fits into a model; what does not, a head of other classes, stays as it is.

    A file of a pruned network, of as many `classes`, cuts the model to its shapes first.

    Raises:
        TrainingError: the file holds no weights, lacks a tensor of the encoder, has some of a
            network that the encoder is not, or values that are not finite.
    """
    contents = read(path)
    if contents.pruning:
        whole = cast("SegmentationModel", model)  # no part of one is ever pruned by itself
        check_pruned(contents.pruning, path, classes=classes, channels=whole.channels)
        shrink(whole, contents.tensors, contents.pruning)
    own, given = model.state_dict(), contents.tensors
    net = model.get_submodule("encoder.net")
    match = _matched(net, given)
    renamed = {f"{_OWN}{name}": value for name, value in match.found.items()}
    renamed |= _decoder(own, given, renamed, match.prefix)
    fitting = {name: value for name, value in renamed.items() if own[name].shape == value.shape}
    absent = tuple(name for name in own if name not in renamed)
    reshaped = tuple(name for name in renamed if name not in fitting)
    lacking = [name for name in (*absent, *reshaped) if name.startswith("encoder.")]
    lacking = [name for name in lacking if not name.endswith(_COUNTED)]
    if lacking:
        raise TrainingError(
            f"weights file {path.name} lacks {quantity(len(lacking), 'tensor')} of {encoder}, "
            "or has them in "
            f"another shape{_first([name.removeprefix(_OWN) for name in lacking])}"
            f"{_advice(match, encoder)}"
        )
    if match.foreign:
        raise TrainingError(
            f"weights file {path.name} holds {quantity(len(match.foreign), 'tensor')} that "
            f"{encoder} does not "
            f"have{_first(match.foreign)}{_advice(match, encoder)}"
        )
    _refuse_values(path, fitting, own)
    model.load_state_dict(fitting, strict=False)
    theirs = _TORCHVISION_EPS.get(_architecture(net)) if match.by_order else None
    if (eps := contents.norm_eps or theirs) is not None:
        set_norm_eps(model, eps)
    ignored = tuple(name for name in given if name not in match.used | set(renamed))
    found = Matched(path.name, tuple(fitting), absent, reshaped, ignored, digest_of(path))
    logger.info("weights from %s: %s", path.name, found)
    return found


def norm_eps(model: nn.Module) -> float | None:
    """What each batch norm of the encoder adds to a variance; None where they differ."""
    found = {each.eps for each in _norms(model.get_submodule("encoder.net"))}
    return found.pop() if len(found) == 1 else None


def set_norm_eps(model: nn.Module, eps: float) -> None:
    """Have each batch norm of the encoder add this to a variance."""
    for norm in _norms(model.get_submodule("encoder.net")):
        norm.eps = eps


def _refuse_values(path: Path, fitting: Tensors, own: Tensors) -> None:
    """Raise TrainingError for values that would be rounded, are not there, or are not finite."""
    real = {name: value for name, value in fitting.items() if own[name].is_floating_point()}
    whole = [name for name, value in real.items() if not value.is_floating_point()]
    if whole:
        raise TrainingError(
            f"weights file {path.name} holds {real[whole[0]].dtype} where weights are real "
            f"numbers{_first(whole)}; a quantised network cannot be trained, use its weights from "
            "before"
        )
    if bare := [name for name, value in fitting.items() if value.is_meta]:
        raise TrainingError(
            f"weights file {path.name} holds shapes without values{_first(bare)}; save the network "
            "after its weights were loaded"
        )
    if odd := [name for name, value in real.items() if not value.float().isfinite().all()]:
        raise TrainingError(
            f"weights file {path.name} holds numbers that are not finite in "
            f"{quantity(len(odd), 'tensor')}"
            f"{_first(odd)}; the training that wrote it diverged, use an earlier checkpoint of it"
        )


def _norms(net: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))


class _Match(NamedTuple):
    """Tensors under the encoder's names, those of the file that gave them, those of no head."""

    prefix: str
    found: dict[str, Tensor]
    used: set[str]
    foreign: list[str]
    theirs: dict[str, Tensor]
    by_order: bool = False


def _matched(net: nn.Module, given: Tensors) -> _Match:
    own = net.state_dict()
    prefix = _prefix(own, given)
    theirs = _below(prefix, given)
    plain = {_plain(name): name for name in theirs}
    pairs = {name: plain[_plain(name)] for name in own if _plain(name) in plain}
    if not all(name in pairs for name in own if not name.endswith(_STATISTICS)):
        before = next(p for p in _PREFIXES if any(name.startswith(p) for name in given))
        renamed = _below(before, given)
        if ordered := _by_order(own, renamed):
            foreign = _foreign(renamed, ordered.values(), ())
            if len({name.rsplit(".", 2)[0] for name in foreign}) == 1 and len(foreign) <= _TAIL:
                foreign = []
            return _match(before, own, renamed, ordered, foreign, by_order=True)
    # What else the whole network has, a last convolution and the like, is expected.
    foreign = _foreign(theirs, pairs.values(), ())
    if foreign:
        foreign = _foreign(theirs, pairs.values(), _names_of_all(net))
    return _match(prefix, own, theirs, pairs, foreign)


def _match(
    prefix: str,
    own: Tensors,
    theirs: dict[str, Tensor],
    pairs: Mapping[str, str],
    foreign: list[str],
    *,
    by_order: bool = False,
) -> _Match:
    found = {name: _adapted(theirs[source], own[name]) for name, source in pairs.items()}
    used = {f"{prefix}{source}" for source in pairs.values()}
    return _Match(prefix, found, used, foreign, theirs, by_order)


def _prefix(own: Tensors, given: Tensors) -> str:
    """What stands before the encoder's names in the file, by the number of names that it gives."""
    wanted = {_plain(name) for name in own}
    votes: Counter[str] = Counter()
    for name in given:
        parts = name.split(".")
        for start in range(len(parts)):
            if _plain(".".join(parts[start:])) in wanted:
                votes["".join(f"{part}." for part in parts[:start])] += 1
    return max(votes, key=votes.__getitem__, default="")  # on a tie the first


def _foreign(theirs: Tensors, used: Collection[str], known: Collection[str]) -> list[str]:
    """The file's tensors that are neither the encoder's nor a head's nor counters."""
    return [
        name
        for name in theirs
        if name not in used
        and not name.endswith(_STATISTICS)
        and name.partition(".")[0] not in _HEADS
        and _plain(name) not in known
    ]


def _names_of_all(net: nn.Module) -> frozenset[str]:
    """Plain names of every tensor of the network whose features these are, as timm has it."""
    name = _architecture(net)
    if not timm.is_model(name):
        return frozenset()
    with torch.device("meta"):
        whole = timm.create_model(name)
    return frozenset(_plain(each) for each in whole.state_dict())


def _architecture(net: nn.Module) -> str:
    """timm's name of the network; empty for another library's."""
    known: Mapping[str, Any] = getattr(net, "pretrained_cfg", None) or {}
    return str(known.get("architecture", ""))


def _by_order(own: Tensors, given: Tensors) -> dict[str, str]:
    """The file's names by ours, if it begins with the shapes of the model; else none."""
    if not any(name.endswith(_STATISTICS) for name in own):
        given = {name: value for name, value in given.items() if not name.endswith(_STATISTICS)}
    pairs = dict(zip(own, given, strict=False))
    fits = len(pairs) == len(own) and all(
        own[name].shape == _adapted(given[source], own[name]).shape
        for name, source in pairs.items()
    )
    return pairs if fits else {}


def _decoder(own: Tensors, given: Tensors, encoder: Tensors, prefix: str) -> dict[str, Tensor]:
    """Tensors of the decoder: of our own checkpoints by name, of torchvision's heads in order."""
    if prefix == _OWN:
        return {name: given[name] for name in own if name in given and name not in encoder}
    decoder = [name for name in own if name.startswith("decoder.")]
    heads = [value for name, value in given.items() if name.startswith(_SEGMENTATION_HEADS)]
    return dict(zip(decoder, heads, strict=True)) if len(heads) == len(decoder) else {}


def _advice(match: _Match, encoder: str) -> str:
    if (name := _looks_like(match)) is not None:
        return f"; it looks like {name}: set model.encoder to that, or use weights of {encoder}"
    return f"; use weights of {encoder}, or remove from the file what is not the network's"


def _looks_like(match: _Match) -> str | None:
    """The first known encoder that has all of the file's tensors, heads aside, in their shapes."""
    shapes = {_plain(name): value.shape for name, value in match.theirs.items()}
    for name in catalog.names("encoder"):
        own, whole = _known(name)
        if any(shapes.get(key) != shape for key, shape in own.items()):
            continue
        used = [key for key in match.theirs if _plain(key) in own]
        if not _foreign(match.theirs, used, whole):
            return name
    return None


@cache
def _known(encoder: str) -> tuple[Mapping[str, torch.Size], frozenset[str]]:
    """Plain names and shapes of an encoder's tensors, and names of its whole network's."""
    stride = catalog.traits(EncoderTraits, encoder).output_strides[-1]
    try:
        with torch.device("meta"):
            net = catalog.load("encoder", encoder).build(encoder, stride, False).net
    except TrainingError:  # a library that cannot build without numbers
        return {"": torch.Size()}, frozenset()
    own = {_plain(key): value.shape for key, value in net.state_dict().items()}
    return {k: s for k, s in own.items() if not k.endswith(_COUNTED)}, _names_of_all(net)


def _adapted(given: Tensor, own: Tensor) -> Tensor:
    """An RGB stem for images of other channels, repeated and rescaled as timm does it; the scale
    of a ConvNeXt layer without the axes of length one that torchvision gives it.
    """
    if given.ndim == 4 and given.shape[1] == _RGB != own.shape[1] and given.ndim == own.ndim:
        inflated: Tensor = adapt_input_conv(own.shape[1], given)
        return inflated if inflated.shape == own.shape else given
    if own.ndim == 1 and given.shape == (*own.shape, 1, 1):
        return given.reshape(own.shape)
    return given


def _plain(name: str) -> str:
    # timm writes `stages_0` where it cuts a network into stages, and `stages.0` in its files.
    return name.replace(".", "_")


def _below(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _first(names: Sequence[str]) -> str:
    return f", first {', '.join(names[:3])}" if names else ""
