"""Applies augmentations to a batch: one colour matrix and one affine resampling per image.

Each augmentation file says by `ACTS_ON` what its `build` gives, from its own counted draws:

- `position`, `colour`: small matrices, whose products are applied once, on the training device
- `choice`: the cost of each of several windows, by the labels in it; the cheapest is taken
- `pixels`: changed pixels, after the resampling
- `mix`: a mask of what comes from another training sample, which is augmented as itself
- `hole`: a mask of what is hidden and ignored
- `policy`: strengths of other augmentations, and for which samples of the batch
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.configs import catalog
from tuner.configs.traits import AugmentTraits
from tuner.spec.config import Size
from tuner.training import draws
from tuner.training.batches import warp, windows
from tuner.training.batches.warp import Matrices
from tuner.training.ignore import IGNORE

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SampleSource:
    """All training samples: how many, and images N×C×H×W with labels N×H×W, uint8, of some."""

    length: int
    fetch: Callable[[Indices], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One augmentation of a batch; `key` names its draws, `chosen` the samples that it acts on."""

    key: str
    module: ModuleType
    traits: AugmentTraits
    strength: Any
    chosen: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, name: str, strength: Any, *, beside: str = "", **chosen: Any) -> "_Step":
        """The step of the augmentation of that name."""
        module, traits = catalog.load("augment", name), catalog.traits(AugmentTraits, name)
        return cls(f"{beside}{name}", module, traits, strength, **chosen)

    def rows(self, length: int) -> Indices:
        """Which of the batch's samples it acts on."""
        return np.arange(length) if self.chosen is None else np.flatnonzero(self.chosen)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The samples at hand, and the steps that their draws ask for."""

    seed: int
    epoch: int
    indices: Indices
    steps: tuple[_Step, ...]

    def of(self, acts_on: str) -> Iterator[tuple[_Step, Matrices]]:
        """Steps of one kind with their draws, in order."""
        for step in self.steps:
            if acts_on == step.traits.acts_on:
                yield step, self.numbers(step.key, count=step.traits.draws)

    def numbers(self, *key: str | int, count: int) -> NDArray[np.float64]:
        """Draws of the batch's samples, N×count."""
        return draws.uniforms(self.seed, self.epoch, *key, indices=self.indices, count=count)


def enabled(strengths: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and strengths of the augmentations that are not off, in the order of their names."""
    for name, component in catalog.components("augment").items():
        option = component.options["strength"]
        strength, _ = option.check(strengths.get(name, option.default))
        if strength != option.default:
            yield name, strength


class Augmentation:
    """The augmentations of one config that are not off."""

    def __init__(
        self, strengths: Mapping[str, Any], *, seed: int, size: Size, source: SampleSource
    ) -> None:
        self._seed = seed
        self._size = size
        self._source = source
        self._steps: list[_Step] = []
        self._policies: list[_Step] = []
        for name, strength in enabled(strengths):
            step = _Step.of(name, strength)
            is_policy = step.traits.acts_on == "policy"
            (self._policies if is_policy else self._steps).append(step)

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        epoch: int,
        indices: Indices,
        fill: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Augmented batch: images N×C×h×w of float in 0 … 255, labels N×h×w of int64.

        Takes images N×C×H×W and labels N×H×W of uint8, the samples' indices, and the mean colour.
        """
        batch = self.planned(epoch, indices)
        pixels, marks = self._alone(batch, images, labels, fill)  # N×C×h×w, N×h×w
        for step, numbers in batch.of("mix"):
            pixels, marks = self._mixed(step, numbers, batch, (pixels, marks), fill)
        for step, numbers in batch.of("hole"):
            hidden = step.module.build(numbers, marks, strength=step.strength)  # N×h×w booleans
            pixels = torch.where(hidden[:, None], fill.view(1, -1, 1, 1), pixels)
            marks = marks.masked_fill(hidden, IGNORE)
        return pixels, marks

    def planned(self, epoch: int, indices: Indices) -> _Batch:
        """The batch with its steps in order: those of the config, and those of its policies."""
        bare = _Batch(self._seed, epoch, indices, ())
        steps = list(self._steps)
        for policy in self._policies:
            numbers = bare.numbers(policy.key, count=policy.traits.draws)
            parts = policy.module.build(numbers, strength=policy.strength)
            steps += [
                _Step.of(name, strength, beside=f"{policy.key}.", chosen=chosen)
                for name, (strength, chosen) in parts.items()
            ]
        steps.sort(key=lambda step: (step.traits.order, step.key))
        return _Batch(self._seed, epoch, indices, tuple(steps))

    def _alone(
        self, batch: _Batch, images: Tensor, labels: Tensor, fill: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Every image for itself: colours, position, pixels."""
        pixels, marks = images.float(), labels.long()
        colours, _ = _product(batch, "colour", self._size)  # N×4×4 over (r, g, b, 1)
        if colours is not None:
            pixels = recolour(pixels, colours)
        positions, size = _product(batch, "position", self._size)  # N×3×3, output to input pixels
        if positions is not None:
            source = (labels.shape[1], labels.shape[2])
            pixels = warp.smooth(pixels, warp.shrinkage(positions))
            # N×2×3; all positions at once, so that every pixel is interpolated once only.
            theta = torch.from_numpy(warp.thetas(positions, size, source)).to(
                pixels.device, non_blocking=True
            )
            if any(True for _ in batch.of("choice")):
                theta = _chosen(batch, self._size, theta, labels)
            pixels, marks = warp.resample(pixels, marks, theta, size, fill=fill)
        for step, numbers in batch.of("pixels"):
            rows = step.rows(len(pixels))
            if len(rows) == len(pixels):
                pixels = step.module.build(numbers, pixels, strength=step.strength)
            elif len(rows):
                where = torch.from_numpy(rows).to(pixels.device, non_blocking=True)
                changed = step.module.build(numbers[rows], pixels[where], strength=step.strength)
                pixels = pixels.index_copy(0, where, changed)
        return pixels, marks

    def _mixed(
        self,
        step: _Step,
        numbers: NDArray[np.float64],
        batch: _Batch,
        own: tuple[Tensor, Tensor],
        fill: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The batch with parts of other samples, which look as they do at their own place."""
        rows = np.flatnonzero(numbers[:, 0] < step.strength)
        others = self._source.length - 1
        if not len(rows) or not others:
            return own
        # The first draw says whether, the second with whom; never with itself.
        away = 1 + (numbers[rows, 1] * others).astype(np.int64)
        partners = (batch.indices[rows] + away) % self._source.length
        fetched = self._source.fetch(partners)
        planned = self.planned(batch.epoch, partners)
        pixels, marks = self._alone(planned, *fetched, fill)
        mask = step.module.build(numbers[rows], marks, strength=step.strength)  # M×h×w, M of the N
        where = torch.from_numpy(rows).to(pixels.device, non_blocking=True)
        pixels = torch.where(mask[:, None], pixels, own[0][where])
        marks = torch.where(mask, marks, own[1][where])
        return own[0].index_copy(0, where, pixels), own[1].index_copy(0, where, marks)


def _product(
    batch: _Batch, acts_on: str, size: Size, *, turn: int = 0
) -> tuple[Matrices | None, Size]:
    """Product of the matrices that act on positions or colours, and the output size.

    Another `turn` places windows elsewhere, and leaves everything else as it is.
    """
    found = []
    for step, numbers in batch.of(acts_on):
        if turn and (places := list(step.traits.places)):
            again = batch.numbers(step.key, "turn", turn, count=step.traits.draws)
            numbers[:, places] = again[:, places]
        matrices, size = step.module.build(numbers, size, strength=step.strength)
        if step.chosen is not None:
            matrices = np.where(step.chosen[:, None, None], matrices, np.eye(matrices.shape[-1]))
        found.append(matrices)
    if not found:
        return None, size
    # Positions map output to input, so the last step of the pipeline stands rightmost.
    return reduce(np.matmul, found if acts_on == "position" else found[::-1]), size


def _chosen(batch: _Batch, size: Size, first: Tensor, labels: Tensor) -> Tensor:
    """The map N×2×3 of the window that costs least, among the first and its other turns."""
    source = (labels.shape[1], labels.shape[2])
    found = [first]
    for turn in range(1, windows.CANDIDATES):
        positions, out = _product(batch, "position", size, turn=turn)
        assert positions is not None
        found.append(
            torch.from_numpy(warp.thetas(positions, out, source)).to(
                first.device, non_blocking=True
            )
        )
    thetas = torch.stack(found, dim=1)  # N×candidates×2×3
    seen = windows.look(labels, thetas)  # N×candidates×points
    costs = [
        step.module.build(numbers, seen, strength=step.strength)
        for step, numbers in batch.of("choice")
    ]
    return windows.best(thetas, torch.stack(costs).sum(dim=0))


def recolour(pixels: Tensor, colours: Matrices) -> Tensor:
    """Apply N×4×4 homogeneous colour matrices to N×C×H×W pixels in 0 … 255.

    Red, green and blue are the first three channels, and others stay as they are; with fewer than
    three, every channel changes as grey does.
    """
    if pixels.shape[1] < _RGB:
        greys = _LUMA @ colours[:, :3]
        slope, offset = greys[:, :3].sum(axis=1), greys[:, 3]
        factors, shifts = (
            torch.from_numpy(values.astype(np.float32))
            .to(pixels.device, non_blocking=True)
            .view(-1, 1, 1, 1)
            for values in (slope, offset)
        )
        return (pixels * factors + shifts).clamp_(0, 255)
    # The upper N×3×4 of the homogeneous matrices: a product and a shift of N×3×HW pixels.
    matrix = torch.from_numpy(colours[:, :3].astype(np.float32)).to(
        pixels.device, non_blocking=True
    )
    flat = pixels[:, :_RGB].flatten(2)
    changed = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], flat).clamp_(0, 255)
    changed = changed.view(len(pixels), _RGB, *pixels.shape[2:])
    return torch.cat([changed, pixels[:, _RGB:]], dim=1) if pixels.shape[1] > _RGB else changed


_RGB = 3
_LUMA = np.array([0.299, 0.587, 0.114])
