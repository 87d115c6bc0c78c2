"""Images made worse: how much, the same everywhere, and never out of their range."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tuner.delivery.evaluation.corruption import KINDS, STRENGTHS, corrupted


def picture(channels: int = 3, *, rows: int = 40, columns: int = 56) -> np.ndarray:
    """Gentle colours with some detail."""
    numbers = np.random.default_rng(channels)
    base = np.linspace(60, 160, columns)[None, :, None] * np.ones((rows, 1, channels))
    return (base + numbers.integers(0, 40, base.shape)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_each_strength_is_further_from_the_image(kind: str) -> None:
    """The mean distance grows with the strength."""
    image = picture(rows=120, columns=160)
    gaps = [np.abs(corrupted(image, kind, s, "a") - image.astype(float)).mean() for s in STRENGTHS]
    assert gaps[0] > 0
    assert gaps == sorted(gaps)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(STRENGTHS),
    st.integers(1, 5),
    st.booleans(),
)
def test_shape_type_and_range_stay(kind: str, strength: int, channels: int, deep: bool) -> None:
    """Of any number of channels, in bytes and in reals, which may lie outside of 0 … 255."""
    image: np.ndarray = picture(channels)
    if deep:
        image = image.astype(np.float32) * 2 - 30
    found = corrupted(image, kind, strength, "a")
    assert (found.shape, found.dtype) == (image.shape, image.dtype)
    assert found.min() >= min(0, image.min())
    assert found.max() <= max(255, image.max())
    assert np.array_equal(found, corrupted(image, kind, strength, "a"))


def test_noise_is_a_draw_of_the_name_with_the_published_deviation() -> None:
    """Another image has another field; the deviation is 0.08 of the range at strength 1."""
    grey = np.full((200, 200, 3), 128, dtype=np.float32)
    first, second = (corrupted(grey, "noise", 1, name) - 128 for name in ("a", "b"))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    assert first.std() == pytest.approx(255 * 0.08, rel=0.02)
    assert abs(first.mean()) < 0.2


def test_brightness_raises_the_value_of_hsv() -> None:
    """As Pillow's HSV has it, to the rounding of its bytes; black becomes grey."""
    image = picture()
    hsv = np.asarray(Image.fromarray(image).convert("HSV")).copy()
    found = np.asarray(Image.fromarray(corrupted(image, "brightness", 2, "a")).convert("HSV"))
    wanted = np.minimum(hsv[..., 2].astype(float) + 0.2 * 255, 255)
    assert np.abs(found[..., 2] - wanted).max() <= 1
    black = np.zeros((4, 4, 3), dtype=np.uint8)
    assert set(corrupted(black, "brightness", 1, "a").ravel().tolist()) == {26}


def test_contrast_keeps_the_mean_and_a_share_of_the_rest() -> None:
    """0.05 at strength 5."""
    image = picture().astype(np.float32)
    found = corrupted(image, "contrast", 5, "a")
    np.testing.assert_allclose(found.mean((0, 1)), image.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(found.std((0, 1)), 0.05 * image.std((0, 1)), rtol=1e-3)


def test_jpeg_is_pillows() -> None:
    """Quality 7 at strength 5."""
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "JPEG", quality=7)
    assert np.array_equal(corrupted(picture(), "jpeg", 5, "a"), np.asarray(Image.open(buffer)))


def test_blur_scales_with_the_image() -> None:
    """A point in an image of 224 pixels is spread by a deviation of 2 at strength 2."""
    image = np.zeros((224, 224, 1), dtype=np.float32)
    image[112, 112] = 255 * 100
    image[0, 0, 0] = 255 * 100  # what is deeper than bytes is not clipped
    found = corrupted(image, "blur", 2, "a")[100:125, 100:125, 0].astype(float)
    places = np.arange(25) - 12
    deviation = np.sqrt((found.sum(0) * places**2).sum() / found.sum())
    assert deviation == pytest.approx(2, rel=0.02)
