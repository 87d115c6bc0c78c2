"""The trained networks that a training learns from: opened, held against its config, and asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.training import draws
from tuner.training.determinism import DeviceContext
from tuner.training.network.lessons import Lesson, Lessons, Taught
from tuner.training.network.model import SegmentationModel
from tuner.training.network.teacher_files import Teacher, open_teacher
from tuner.training.network.weight_files import locate
from tuner.wording import quantity

_KEY = "loss.teacher"


class Teachers:
    """Those that a loss and its terms name, each opened once; a loss without any asks nothing.

    `digests` are the sha256 of their files by name. They never learn: no gradient reaches them,
    and their norms use the statistics that they have.
    """

    def __init__(
        self, loss: nn.Module, config: TrialConfig, *, roots: Sequence[Path], channels: int
    ) -> None:
        """Open every teacher of the loss, for images of so many channels.

        Raises:
            WeightsUnavailable: a file is not under an allowed root, or cannot be fetched or read.
            TrainingError: it is not a model, or one of other classes or channels.
        """
        self._seed, self._determinism = config.seed, config.training.determinism
        taught = [each for each in loss.modules() if isinstance(each, Taught)]
        self._networks: dict[str, Teacher] = {}
        self.digests: Mapping[str, str] = {}
        for name in sorted({each.teacher for each in taught}):
            opened = open_teacher(locate(name, roots, key=_KEY), roots)
            _check(name, opened, config, channels)
            self._networks[name] = opened
            self.digests = {**self.digests, name: opened.sha256}
        self._compares = any(each.compares_features for each in taught)
        self._taps: dict[str, _Tap] = {}
        self._own: _Tap | None = None

    def meet(self, loss: nn.Module, model: SegmentationModel) -> None:
        """Let each loss make what it needs between both encoders, from the config's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws.seed_of(self._seed, "teachers"))
            for each in loss.modules():
                if isinstance(each, Taught):
                    encoder = self._networks[each.teacher].encoder
                    if encoder is not None:
                        each.meet(model.encoder.pyramid.channels, encoder.pyramid.channels)
                    elif each.compares_features:
                        raise TrainingError(
                            f"{_KEY} '{each.teacher}' is an ensemble, which has no features of its "
                            "own to compare; name one of its models, or distil from its answers"
                        )

    def attend(self, model: SegmentationModel, context: DeviceContext) -> None:
        """Bring the teachers to the device, and look on as the network computes its features."""
        for name, network in self._networks.items():
            moved = network.to(context.device)
            if self._determinism == "fast":
                moved = moved.to(memory_format=torch.channels_last)
            self._networks[name] = moved
        if self._compares:
            self._own = _Tap(model.encoder)
            self._taps = {
                name: _Tap(each.encoder)
                for name, each in self._networks.items()
                if each.encoder is not None
            }

    @torch.no_grad()
    def lessons(self, images: Tensor) -> tuple[Lessons, ...]:
        """What all teachers say of B×C×h×w images that the network has just seen; or nothing."""
        if not self._networks:
            return ()
        found = {}
        own = self._own.taken() if self._own is not None else ()
        for name, network in self._networks.items():
            logits = network(images)
            features = self._taps[name].taken() if name in self._taps else ()
            found[name] = Lesson(logits, features, own)
        return (found,)


class _Tap:
    """Takes what an encoder gives at its last call, unless that was for a score."""

    def __init__(self, encoder: nn.Module) -> None:
        self._features: Sequence[Tensor] = ()
        encoder.register_forward_hook(self._keep)

    def _keep(self, encoder: nn.Module, images: Any, features: Sequence[Tensor]) -> None:
        if not torch.is_inference_mode_enabled():
            self._features = features

    def taken(self) -> Sequence[Tensor]:
        features, self._features = self._features, ()
        return features


def _check(name: str, opened: Teacher, config: TrialConfig, channels: int) -> None:
    """Raise TrainingError for a teacher that speaks of other classes, or sees other images."""
    own, theirs = config.dataset.classes, opened.classes
    if own != theirs:
        raise TrainingError(
            f"{_KEY} '{name}' tells {len(theirs)} classes ({_shown(theirs)}), the data set has "
            f"{len(own)} ({_shown(own)}); a teacher must know the same classes in the same order"
        )
    if opened.channels != channels:
        raise TrainingError(
            f"{_KEY} '{name}' was trained on images of {quantity(opened.channels, 'channel')}, the "
            f"data set's have {channels}; name a teacher of the same images"
        )


def _shown(classes: Sequence[str]) -> str:
    more = ", …" if len(classes) > 5 else ""
    return ", ".join(classes[:5]) + more
