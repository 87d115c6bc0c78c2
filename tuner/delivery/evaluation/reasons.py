"""What a model's answers for one class rest on, in the images where it is worst at that class."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tuner.delivery.attribution import attribution
from tuner.delivery.attribution_figure import (
    PredictedImage,
    described,
    heat_map,
    outlined,
    region_maps,
)
from tuner.delivery.evaluation import figures
from tuner.delivery.evaluation.scoring import ImageScore
from tuner.delivery.explained import Target, class_index
from tuner.delivery.image_input import as_batch
from tuner.delivery.needs import require
from tuner.delivery.object_regions import has_object_regions, object_regions
from tuner.delivery.predictor import Predictor
from tuner.delivery.trained import TrainedModel
from tuner.errors import InvalidInput, Problem
from tuner.training.data.cache import fit
from tuner.training.data.parts import Part
from tuner.training.network.resize import resize
from tuner.training.preview.sheet import Pixels, visible


@dataclass(frozen=True, slots=True)
class Reason:
    """One image with its IoU of the class, what is explained, and figures by caption."""

    name: str
    iou: float
    lines: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reasons:
    """A class, and the images where the model is worst at it; none where no image shows it."""

    class_name: str
    images: tuple[Reason, ...]


def check(predictor: Predictor | None, classes: Sequence[str], name: str) -> None:
    """Raise InvalidInput or PackageMissing where answers for a class cannot be explained."""
    if predictor is not None and not isinstance(predictor, TrainedModel):
        message = f"{predictor.name} is not a trained network, whose layers can be looked into; "
        raise InvalidInput([Problem(("--explain",), f"{message}name its model.pt or its study")])
    class_index(name, classes, option="--explain")
    require("captum.attr", purpose="an explanation of a model")


def worst(scores: Sequence[ImageScore], index: int) -> list[tuple[float, str]]:
    """IoU and name of the images that show a class, or of which it is predicted; worst first."""
    return sorted((each.iou[index], each.name) for each in scores if index in each.iou)


def explained(
    model: TrainedModel,
    part: Part,
    scores: Sequence[ImageScore],
    name: str,
    *,
    count: int,
    tick: Callable[[], None] = lambda: None,
) -> Reasons:
    """Why the model answers as it does for a class, in the images where it is worst at it.

    Explained is the mean logit of the class over the pixels that are predicted as it; where none
    is, over those that are labelled so. Images are looked at in the size of training.

    Raises:
        PackageMissing: captum is not installed.
    """
    index = class_index(name, model.classes, option="--explain")
    places = {each: place for place, each in enumerate(part.decoded.names)}
    order = worst(scores, index)
    found = (_reason(model, part, places[each], index, iou) for iou, each in order)
    return Reasons(name, tuple(islice(_counted(found, tick), count)))


def _counted(found: Iterator[Reason | None], tick: Callable[[], None]) -> Iterator[Reason]:
    for each in found:
        if each is not None:
            tick()
            yield each


def _reason(model: TrainedModel, part: Part, place: int, index: int, iou: float) -> Reason | None:
    """None where the class is too small to be seen at the size of training."""
    pixels = np.asarray(part.decoded.images[place])
    size = (pixels.shape[0], pixels.shape[1])
    given, shown = as_batch(pixels), visible(pixels)
    logits = resize(model.logits(given), size, align_corners=model.align_corners)
    predicted = logits.argmax(dim=1)[0].cpu().numpy()
    label = fit(np.asarray(part.label(place)), size, Image.Resampling.NEAREST)
    target, what = _target(predicted, label, index, model.classes[index])
    if target is None:
        return None
    found = attribution(model, given, target)
    heat, _ = heat_map(shown, found.values)
    answer = PredictedImage(shown, predicted, model.classes)
    drawn: list[tuple[str, Pixels]] = [
        ("image", shown),
        ("label", figures.overlaid(shown, label, len(model.classes))),
        ("prediction", outlined(answer, target)),
        (f"for and against '{target.name}'", heat),
    ]
    if has_object_regions(model):
        region, relation = region_maps(shown, object_regions(model, given), index)
        drawn += [("object region", region), ("how much a pixel reads from it", relation)]
    return Reason(
        part.decoded.names[place],
        iou,
        tuple(described(target, found, where=what)),
        tuple((caption, figures.uri(each)) for caption, each in drawn),
    )


def _target(
    predicted: NDArray[np.integer], label: NDArray[np.integer], index: int, name: str
) -> tuple[Target | None, str]:
    for pixels, what in ((predicted == index, "predicted as it"), (label == index, "labelled so")):
        if pixels.any():
            return Target(index, name, pixels), what
    return None, ""
