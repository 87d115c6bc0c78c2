"""An explanation of a model's answer for one image file, as a figure and as words."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tuner.atomic import replacing
from tuner.delivery.attribution import AttributionSettings, attribution
from tuner.delivery.attribution_figure import (
    PredictedImage,
    attribution_figure,
    described,
    regions_figure,
)
from tuner.delivery.explained import choose, parse_region, scaled
from tuner.delivery.image_input import read_input
from tuner.delivery.object_regions import object_regions
from tuner.delivery.predictor import checked
from tuner.delivery.trained import TrainedModel
from tuner.errors import InvalidInput, Problem, StorageError
from tuner.spec.config import Size
from tuner.training.network.resize import resize
from tuner.wording import percent

_KINDS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Which image, which class by name, and which pixels as `x,y,w,h` of the file."""

    path: Path
    class_name: str | None = None
    region: str | None = None


def explain(
    model: TrainedModel, request: ImageRequest, settings: AttributionSettings | None
) -> tuple[Image.Image, list[str]]:
    """A figure with what there is to say of it; without settings, the object regions of OCRNet.

    Raises:
        DataError: the image cannot be used.
        InvalidInput: class, region or window are not possible.
        PackageMissing: captum is not installed.
        TrainingError: the network has no such thing to look at.
    """
    wanted = parse_region(request.region) if request.region is not None else None
    image = read_input(request.path, model)
    if settings is None:
        found = object_regions(model, image.given)
        shares = found.relation.mean(axis=(1, 2))
        order = sorted(range(len(shares)), key=lambda index: -shares[index])
        lines = [f"{model.name}: what the pixels of {request.path.name} read from, on average"]
        lines += [f"  {model.classes[k]}: {percent(float(shares[k]))}" for k in order]
        return regions_figure(image.shown, model.classes, found), lines
    size: Size = (image.given.shape[-2], image.given.shape[-1])
    logits = resize(checked(model.logits(image.given)), size, align_corners=model.align_corners)
    predicted = logits.argmax(dim=1)[0].cpu().numpy()
    region = None if wanted is None else scaled(wanted, image.size, size)
    target = choose(predicted, model.classes, name=request.class_name, region=region)
    shown = attribution(model, image.given, target, settings)
    title = f"Why '{target.name}'? {model.name}, {request.path.name}"
    answer = PredictedImage(image.shown, predicted, model.classes)
    figure = attribution_figure(answer, target, shown, title=title)
    lines = described(target, shown)
    if region is not None:
        agreeing = float((predicted[target.pixels] == target.index).mean())
        lines.append(f"{percent(agreeing)} of the region is predicted as '{target.name}'")
    return figure, lines


def figure_kind(path: Path) -> str:
    """The suffix of a figure that can be written. Raises InvalidInput."""
    suffix = path.suffix.lower()
    if suffix not in _KINDS:
        message = f"'{path}' is not the name of a figure; it ends in {', '.join(_KINDS)}"
        raise InvalidInput([Problem(("--out",), message)])
    return suffix


def write(path: Path, figure: Image.Image) -> None:
    """Write a figure in the format of its suffix, whole or not at all. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            figure.save(draft, quality=92)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; choose another --out"
        ) from error
