"""Which pixels of an image a model's answer rests on, by three methods of captum.

- **Integrated Gradients** (Sundararajan, Taly and Yan 2017): each pixel's share of the difference
  between the score of the image and that of a baseline; the shares add up to it.
- **Grad-CAM** (Selvaraju et al. 2017; for segmentation Vinogradova et al. 2020): where a feature
  map speaks for the class, at the resolution of that map.
- **Occlusion** (Zeiler and Fergus 2014): how much the score falls where a window is covered.

What is explained is one number: the mean logit of a class over some pixels. The baseline, and what
covers, is the mean colour that the network normalises with.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tuner.delivery.explained import Target
from tuner.delivery.needs import require
from tuner.delivery.trained import TrainedModel
from tuner.errors import InvalidInput, Problem, TrainingError
from tuner.training.network.model import SegmentationModel
from tuner.training.network.resize import resize

AttributionMethod = Literal["integrated-gradients", "grad-cam", "occlusion"]
Layer = Literal["encoder", "decoder"]
METHODS: tuple[AttributionMethod, ...] = ("integrated-gradients", "grad-cam", "occlusion")
_AT_ONCE, _PIXELS_AT_ONCE = 4, 2**20  # of images in a pass, of which a gradient keeps everything
_FIRST_STEPS, _MOST_STEPS = 32, 256
_GAP = 0.05
_PARTS = 8  # windows along the shorter side


@dataclass(frozen=True, slots=True)
class AttributionSettings:
    """How to look.

    `layer` is Grad-CAM's. `window` is the side of what occlusion covers; None: an eighth of the
    image's shorter side. `steps` are those of Integrated Gradients; None: 32, doubled up to 256
    until what is missing from the sum is less than 5 % of it.
    """

    method: AttributionMethod = "integrated-gradients"
    layer: Layer = "encoder"
    window: int | None = None
    steps: int | None = None


@dataclass(frozen=True, eq=False)
class Attribution:
    """A number for each pixel, H×W: above zero speaks for the class, below against it.

    `score` is the mean logit that is explained, `baseline` that of the baseline where the method
    has one, and `how` says the method with its settings.
    """

    values: NDArray[np.float32]
    score: float
    baseline: float | None
    how: str

    @property
    def gap(self) -> float | None:
        """By how much the values miss the difference that they are to add up to, if they are."""
        if self.baseline is None:
            return None
        return float(self.values.sum(dtype=np.float64)) - (self.score - self.baseline)


def attribution(
    model: TrainedModel,
    image: Tensor,
    target: Target,
    settings: AttributionSettings = AttributionSettings(),
) -> Attribution:
    """How much each pixel of a 1×C×H×W image in 0 … 255 counts for the score of the target.

    Raises:
        InvalidInput: the window does not fit the image.
        PackageMissing: captum is not installed.
        TrainingError: the network has no layer to look at.
    """
    captum = require("captum.attr", purpose="an explanation of a model")
    given = image.to(model.device).float()
    run: Callable[..., Attribution] = {
        "integrated-gradients": _integrated,
        "grad-cam": _grad_cam,
        "occlusion": _occluded,
    }[settings.method]
    with torch.inference_mode(False), torch.enable_grad():
        return run(captum, model.network, given.clone(), target, settings)


class _Score(nn.Module):
    """The mean logit of the target's class over its pixels, for each image of a batch.

    The encoder's coarsest features pass through `tap`, where they can be looked at.
    """

    def __init__(self, network: SegmentationModel, target: Target) -> None:
        super().__init__()
        self.network = network
        self.tap = nn.Identity()
        self._class = target.index
        self._pixels = torch.from_numpy(target.pixels.reshape(-1)).to(network.mean.device)

    def forward(self, images: Tensor) -> Tensor:
        logits = self._logits(images)
        size = (images.shape[-2], images.shape[-1])
        chosen = logits[:, self._class : self._class + 1]  # resizing keeps channels apart
        whole = resize(chosen, size, align_corners=self.network.align_corners)
        return whole.flatten(1)[:, self._pixels].mean(dim=1)

    def _logits(self, images: Tensor) -> Tensor:
        def tapped(module: nn.Module, given: object, features: list[Tensor]) -> list[Tensor]:
            return [*features[:-1], self.tap(features[-1])]

        handle = self.network.encoder.register_forward_hook(tapped)
        try:
            return self.network.coarse(images)[0]
        finally:
            handle.remove()


def _baseline(network: SegmentationModel, image: Tensor) -> Tensor:
    """The image of the mean colour."""
    return network.mean.expand_as(image).clone()


def _at_once(image: Tensor) -> int:
    """Images in a pass: fewer of large ones."""
    return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // (image.shape[-2] * image.shape[-1])))


def _scores(score: _Score, *images: Tensor) -> list[float]:
    with torch.no_grad():
        return [float(score(image)[0]) for image in images]


def _integrated(
    captum: object,
    network: SegmentationModel,
    image: Tensor,
    target: Target,
    settings: AttributionSettings,
) -> Attribution:
    score, plain = _Score(network, target), _baseline(network, image)
    reached, base = _scores(score, image, plain)
    steps = settings.steps or _FIRST_STEPS
    while True:
        shares = captum.IntegratedGradients(score).attribute(  # type: ignore[attr-defined]  # a module
            image, plain, n_steps=steps, internal_batch_size=_at_once(image)
        )
        how = f"Integrated Gradients, {steps} steps from the mean colour"
        found = Attribution(_flat(shares.sum(dim=1)), reached, base, how)
        missing = abs(found.gap or 0.0) > _GAP * abs(reached - base)
        if settings.steps is not None or steps >= _MOST_STEPS or not missing:
            return found
        steps *= 2


def _occluded(
    captum: object,
    network: SegmentationModel,
    image: Tensor,
    target: Target,
    settings: AttributionSettings,
) -> Attribution:
    shortest = min(image.shape[-2:])
    window = settings.window or max(shortest // _PARTS, 1)
    if not 1 <= window <= shortest:
        message = f"a window of {window} pixels does not fit the image, whose shorter side has "
        raise InvalidInput([Problem(("--window",), f"{message}{shortest}")])
    stride, channels = max(window // 2, 1), image.shape[1]
    score = _Score(network, target)
    with torch.no_grad():
        falls = captum.Occlusion(score).attribute(  # type: ignore[attr-defined]  # a module
            image,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            baselines=_baseline(network, image),
            perturbations_per_eval=_at_once(image),
        )
    how = f"occlusion by {window}×{window} pixels of the mean colour, every {stride} pixels"
    # All channels are covered together, and each carries the same number.
    return Attribution(_flat(falls[:, 0]), _scores(score, image)[0], None, how)


def _grad_cam(
    captum: object,
    network: SegmentationModel,
    image: Tensor,
    target: Target,
    settings: AttributionSettings,
) -> Attribution:
    score = _Score(network, target)
    at_input = settings.layer == "decoder"
    layer = classifier(network, image) if at_input else score.tap
    found = captum.LayerGradCam(score, layer).attribute(  # type: ignore[attr-defined]  # a module
        image, attribute_to_layer_input=at_input, relu_attributions=True
    )
    size = (image.shape[-2], image.shape[-1])
    height, width = found.shape[-2:]
    place = "the decoder's last" if at_input else "the encoder's coarsest"
    how = f"Grad-CAM at {place} feature map of {width}×{height}"
    return Attribution(_flat(resize(found, size)[:, 0]), _scores(score, image)[0], None, how)


def classifier(network: SegmentationModel, image: Tensor) -> nn.Module:
    """The convolution that turns the decoder's last feature map into logits.

    Raises:
        TrainingError: the decoder has none.
    """
    calls: list[tuple[nn.Module, Tensor]] = []  # kept, so that no two share a place in memory

    def note(module: nn.Module, given: object, result: object) -> None:
        if isinstance(result, Tensor):
            calls.append((module, result))

    with _hooked(network.decoder, note), torch.no_grad():
        logits, _ = network.coarse(image)
    outputs, place = logits.shape[1], logits.data_ptr()
    ends = [at for at, (_, result) in enumerate(calls) if result.data_ptr() == place]
    before = calls[: ends[0] + 1] if ends else calls
    for module, _ in reversed(before):
        if isinstance(module, nn.Conv2d) and module.out_channels == outputs:
            return module
    raise TrainingError(
        f"the decoder {type(network.decoder).__name__} ends in no convolution, so that it has no "
        "last feature map; look at the encoder's"
    )


@contextmanager
def _hooked(module: nn.Module, hook: Callable[..., None]) -> Iterator[None]:
    handles = [each.register_forward_hook(hook) for each in module.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _flat(values: Tensor) -> NDArray[np.float32]:
    """1×H×W on any device as H×W in numpy."""
    found: NDArray[np.float32] = values[0].detach().float().cpu().numpy()
    return found
