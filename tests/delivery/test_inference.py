"""Views of an image: whole, by windows, scaled and mirrored, and how they are averaged."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.delivery.scenes import Known, by_red, coarse, mask, painted, part
from tuner.delivery.evaluation import windows
from tuner.delivery.evaluation.inference import Inference, Prediction, predict
from tuner.delivery.evaluation.scoring import Pass, batch_of, score
from tuner.errors import Diverged

SIZE = (24, 32)


def one(predictor: Known, inference: Inference, *, rows: int = 24, columns: int = 32) -> Prediction:
    """The prediction of a painted image at its own size."""
    images = batch_of([painted(mask(rows, columns, 3, ignored=False))])
    (found,) = predict(predictor, images, [(rows, columns)], inference, at_once=3)
    return found


def test_one_view_takes_its_classes_from_resized_logits() -> None:
    """As training does; the confidence is the highest probability there."""
    images = batch_of([painted(mask(seed=3))])
    logits = functional.interpolate(coarse(images), (50, 70), mode="bilinear")
    (found,) = predict(Known(coarse), images, [(50, 70)], Inference(), at_once=1)
    assert torch.equal(found.classes, logits.argmax(1)[0])
    assert torch.equal(found.confidence, logits.softmax(1).amax(1)[0])


def test_scales_and_mirrors_are_averaged_as_probabilities() -> None:
    """Four views by hand."""
    images = batch_of([painted(mask(40, 48, 4))])
    total = torch.zeros(1, 3, 40, 48)
    for size, smooth in (((40, 48), False), ((20, 24), True)):
        scaled = functional.interpolate(images, size, mode="bilinear", antialias=smooth)
        for is_flipped in (False, True):
            logits = coarse(scaled.flip(-1) if is_flipped else scaled)
            each = functional.interpolate(logits, (40, 48), mode="bilinear").softmax(1)
            total += each.flip(-1) if is_flipped else each
    inference = Inference(scales=(1.0, 0.5), flip=True)
    (found,) = predict(Known(coarse), images, [(40, 48)], inference, at_once=1)
    assert torch.allclose(found.confidence, (total / 4).amax(1)[0], atol=1e-5)
    assert torch.equal(found.classes, total.argmax(1)[0])
    assert inference.described(SIZE) == "whole image at 24×32, scales 1, 0.5, with its mirror image"


@pytest.mark.parametrize("blend", ["gaussian", "linear"])
def test_windows_of_a_local_model_give_what_the_whole_gives(blend: windows.Blend) -> None:
    """Where the network looks at single pixels, blending must change nothing."""
    inference = Inference("sliding", window=(10, 12), overlap=0.4, blend=blend)
    found, whole = (
        one(Known(by_red), each, rows=31, columns=41) for each in (inference, Inference())
    )
    assert torch.equal(found.classes, whole.classes)
    assert torch.allclose(found.confidence, whole.confidence, atol=1e-5)


def test_an_image_smaller_than_the_window_is_continued() -> None:
    """Its own pixels come out, as many as it has."""
    found, whole = (
        one(Known(by_red), each, rows=15, columns=20)
        for each in (Inference("sliding", window=(24, 32)), Inference())
    )
    assert torch.equal(found.classes, whole.classes)


def test_neighbouring_windows_are_blended_by_their_weights() -> None:
    """Two windows over six columns that disagree: every pixel by hand."""

    def sees_left(images: Tensor) -> Tensor:
        """Class 1 where the window's first pixel is red, else class 0, all over the window."""
        is_red = (images[:, :1, :1, :1] > 128).float().expand(-1, 1, *images.shape[-2:])
        return torch.cat([8 - 8 * is_red, 8 * is_red], dim=1)

    images = torch.zeros(1, 3, 4, 6)
    images[..., 0] = 255
    found = windows.blended(sees_left, images, (4, 4), windows.Sliding(0.5, "linear", False, 1))
    weights = windows.weights((4, 4), "linear")[0].tolist()
    first, second = torch.tensor([8.0, 0.0]).softmax(0).tolist()
    shared = (weights[2] * first + weights[0] * second) / (weights[2] + weights[0])
    assert found[0, 1, 0].tolist()[:3] == pytest.approx([first, first, shared])
    assert found.sum(dim=1).flatten().tolist() == pytest.approx([1.0] * 24)


@given(st.integers(1, 60), st.integers(1, 40), st.floats(0, 0.95))
def test_windows_cover_every_pixel(length: int, window: int, overlap: float) -> None:
    """From the first to the last, none beyond the end, and never a gap."""
    found = windows.starts(length, window, overlap)
    assert found[0] == 0
    assert found[-1] == max(length - window, 0)
    assert all(second - first <= window for first, second in pairwise(found))


def test_windows_see_the_original(tmp_path: Path) -> None:
    """Sliding begins with the image at its own size, the whole image with the network's."""
    scene = part(tmp_path, [mask(48, 64, 5)], size=SIZE)
    fine = score(Pass(Known(by_red), scene, Inference("sliding"), at_once=2))
    shrunk = score(Pass(Known(by_red), scene))
    assert fine.images[0].pixel_accuracy == 1.0
    assert shrunk.images[0].pixel_accuracy < 1.0


def test_an_output_that_is_not_finite_is_refused() -> None:
    """It would count as class 0 else."""
    with pytest.raises(Diverged, match="not finite"):
        one(Known(lambda images: by_red(images) / 0 * 0), Inference())


def test_images_of_any_depth_are_taken() -> None:
    """Bytes and reals, height by width by channels, become what a model takes."""
    picture = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert batch_of([picture]).shape == (1, 4, 2, 3)
    assert batch_of([picture.astype(np.uint8)]).dtype == torch.float32
