"""What a trial's page shows of validation images, before a script takes over."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.dashboard.trial_query import TrialChoice
from tuner.spec.example_views import ClassColour, Sheet, TrialExamples
from tuner.spec.examples import Box, Example


@dataclass(frozen=True, slots=True)
class Crop:
    """Some sheets' pixels in one box, the first at the bottom."""

    box: Box
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One of the images: how it was predicted, and where that is shown large."""

    image: Example
    crop: Crop
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class MasksPanel:
    """Photo, labels and predictions of one image at one epoch, and what else there is to see."""

    source: str
    version: int
    image: Example
    predictions: Sheet | None
    photo: Crop | None
    truth: Crop | None
    predicted: Crop | None
    thumbnails: tuple[Thumbnail, ...]
    steps: tuple[int, ...]
    classes: tuple[ClassColour, ...]


@dataclass(frozen=True, slots=True)
class ComparedPrediction:
    """What one of several trials made of the image, by the sheet of the epoch that counts."""

    study: str
    trial: int
    step: int
    score: float | None
    crop: Crop


@dataclass(frozen=True, slots=True)
class ComparedMasks:
    """One image with what several trials made of it, and the other images there are."""

    version: int
    image: Example
    photo: Crop | None
    truth: Crop | None
    predictions: tuple[ComparedPrediction, ...]
    images: tuple[tuple[Example, Crop], ...]
    classes: tuple[ClassColour, ...]
    several: bool


def masks_panel(found: TrialExamples, choice: TrialChoice) -> MasksPanel | None:
    """The panel of a trial's examples; None while it has none."""
    predictions = _at(found.predictions, choice.epoch)
    known = predictions or found.truth or found.photos
    if known is None:
        return None
    places = {image.index: image for image in known.images}
    image = places.get(choice.image) if choice.image is not None else None
    image = image or known.images[0]
    sheets = (found.photos, found.truth, *found.predictions)
    return MasksPanel(
        source=f"/partials/studies/{found.study_id}/trials/{found.trial}/examples",
        version=max(sheet.id for sheet in sheets if sheet is not None),
        image=image,
        predictions=predictions,
        photo=crop(image, found.photos),
        truth=crop(image, found.truth),
        predicted=crop(image, predictions),
        thumbnails=_thumbnails(found, known, image, choice),
        steps=tuple(sheet.step or 0 for sheet in found.predictions),
        classes=found.classes,
    )


def compared_masks(
    trials: Sequence[TrialExamples], chosen: int | None = None
) -> ComparedMasks | None:
    """The images of several trials, those of the first that has any; None where none has."""
    shown = [one for one in trials if one.predictions]
    if not shown:
        return None
    known = shown[0].predictions[-1]
    image = next((one for one in known.images if one.index == chosen), known.images[0])
    photos = next((one.photos for one in shown if one.photos), None)
    truth = next((one.truth for one in shown if one.truth), None)
    return ComparedMasks(
        version=max(sheet.id for one in shown for sheet in one.predictions),
        image=image,
        photo=crop(image, photos),
        truth=crop(image, truth),
        predictions=tuple(filter(None, (_compared(one, image) for one in shown))),
        images=tuple(
            (each, small) for each in known.images if (small := crop(each, photos, known))
        ),
        classes=shown[0].classes,
        several=len({one.study_id for one in shown}) > 1,
    )


def _compared(trial: TrialExamples, image: Example) -> ComparedPrediction | None:
    """None where the trial was not shown an image of that name up to the epoch that counts."""
    sheet = _at(trial.predictions, trial.value_step)
    if sheet is None or (trial.value_step is not None and (sheet.step or 0) > trial.value_step):
        return None
    own = next((one for one in sheet.images if one.name == image.name), None)
    found = crop(own, sheet) if own else None
    if own is None or found is None:
        return None
    return ComparedPrediction(trial.study, trial.trial, sheet.step or 0, own.miou, found)


def crop(image: Example, *sheets: Sheet | None) -> Crop | None:
    """The image on these sheets; those on which it lies in another box are left out."""
    boxes = [(sheet, box_of(sheet, image.index)) for sheet in sheets if sheet is not None]
    found = [(sheet, box) for sheet, box in boxes if box is not None]
    if not found:
        return None
    box = found[-1][1]
    return Crop(box, tuple(sheet for sheet, other in found if other == box))


def box_of(sheet: Sheet, index: int) -> Box | None:
    """Where an image lies on a sheet; None where it does not."""
    return next((image.box for image in sheet.images if image.index == index), None)


def _at(sheets: tuple[Sheet, ...], epoch: int | None) -> Sheet | None:
    """The last sheet up to an epoch, or the first; the last without one."""
    if not sheets or epoch is None:
        return sheets[-1] if sheets else None
    before = [sheet for sheet in sheets if (sheet.step or 0) <= epoch]
    return before[-1] if before else sheets[0]


def _thumbnails(
    found: TrialExamples, known: Sheet, shown: Example, choice: TrialChoice
) -> tuple[Thumbnail, ...]:
    thumbnails = []
    for image in known.images:
        address = f"{choice.but(image=image.index).text}#masks"
        small = crop(image, found.photos, known)
        if small is not None:
            thumbnails.append(Thumbnail(image, small, address, image == shown))
    return tuple(thumbnails)
