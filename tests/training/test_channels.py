"""Images beyond RGB: other channels, more bits, several files, one scale of values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training import samples
from tuner.errors import DataError
from tuner.spec.messages import OutcomeKind
from tuner.training.data import image_files
from tuner.training.data import load as data
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.train import train

SHAPE = (40, 60)
DEEP = (np.arange(40 * 60).reshape(SHAPE) * 27).astype(np.uint16)


def load(tmp_path: Path, **options: Any) -> Data:
    """Open the folder data set with these options, at the size of its files."""
    config = samples.folder(**{"size": SHAPE, "channels": "stored", **options})
    return data.load(config, cache=tmp_path / "cache", roots=(tmp_path,))


def put(base: Path, kind: str, pixels: np.ndarray, suffix: str = "png") -> None:
    """The same pixels for every image of `write_folder`, in another folder."""
    for split, count in (("train", 3), ("val", 2)):
        for index in range(count):
            path = base / kind / split / f"{index:03d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".png").unlink(missing_ok=True)
            if suffix == "npy":
                np.save(path, pixels)
            else:
                Image.fromarray(pixels).save(path)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder data set of RGB images."""
    return samples.write_folder(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "suffix"),
    [
        (DEEP.astype(np.uint8), "png"),
        (np.stack([DEEP, DEEP + 1], axis=2).astype(np.uint8), "npy"),
        (np.stack([DEEP, DEEP + 1, DEEP + 2, DEEP + 3], axis=2).astype(np.uint8), "png"),
        (np.stack([DEEP + k for k in range(7)], axis=2).astype(np.uint8), "npy"),
    ],
)
def test_bytes_of_any_number_of_channels_stay_bytes(
    base: Path, tmp_path: Path, pixels: np.ndarray, suffix: str
) -> None:
    """Grey, two bands, RGBA and seven bands are stored as they are."""
    put(base, "images", pixels, suffix)
    loaded = load(tmp_path)
    whole = pixels.reshape(*SHAPE, -1)
    assert loaded.train.images.dtype == np.uint8
    assert np.array_equal(loaded.train.images[0], whole)
    assert loaded.train.channels == whole.shape[2] == len(loaded.train.mean)
    assert loaded.train.std == pytest.approx(whole.reshape(-1, whole.shape[2]).std(axis=0))


@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_16_bits_keep_every_digit(base: Path, tmp_path: Path, suffix: str) -> None:
    """Whole numbers up to 65535 become reals up to 255."""
    put(base, "images", DEEP, suffix)
    stored = load(tmp_path).train.images
    assert (stored.dtype, stored.shape) == (np.float32, (3, *SHAPE, 1))
    assert np.array_equal(np.rint(stored[0, ..., 0] * 257), DEEP)


def test_the_same_picture_has_the_same_values_at_any_depth(base: Path, tmp_path: Path) -> None:
    """8 bits, 16 bits and reals from 0 to 1 agree, so that weights and colours fit all."""
    byte = (DEEP % 256).astype(np.uint8)
    put(base, "images", byte)
    put(base, "sixteen", byte.astype(np.uint16) * 257)
    put(base, "real", (byte / 255).astype(np.float32), "tif")
    first, *others = (
        load(tmp_path, images=f"{kind}/{{split}}").train.images
        for kind in ("images", "sixteen", "real")
    )
    assert np.array_equal(first, others[0])
    assert first == pytest.approx(others[1], abs=1e-4)


def test_a_value_range_is_spread(base: Path, tmp_path: Path) -> None:
    """Thermal counts in a narrow band fill the scale; what lies beyond is not clipped."""
    put(base, "images", (30_000 + DEEP % 400).astype(np.uint16))
    stored = load(tmp_path, value_range=[30_000, 30_255]).train.images
    assert np.array_equal(stored[0, ..., 0], (DEEP % 400).astype(np.float32))


def test_a_faint_channel_keeps_its_deviation(base: Path, tmp_path: Path) -> None:
    """Deep images are normalised by what they really vary."""
    put(base, "images", (30_000 + DEEP % 40).astype(np.uint16))
    loaded = load(tmp_path)
    assert loaded.train.std == pytest.approx([(DEEP % 40).std() / 257], rel=1e-3)


def test_several_files_are_stacked(base: Path, tmp_path: Path) -> None:
    """RGB, then infrared, then depth; one deep file makes the sample deep."""
    put(base, "ir", DEEP.astype(np.uint8))
    put(base, "depth", DEEP)
    loaded = load(tmp_path, channels="rgb", extra=["ir/{split}", "depth/{split}/*.png"])
    image = loaded.train.images[0]
    with Image.open(base / "images" / "train" / "000.png") as picture:
        assert np.array_equal(image[..., :3], np.asarray(picture))
    assert np.array_equal(image[..., 3], DEEP.astype(np.uint8))
    assert np.array_equal(np.rint(image[..., 4] * 257), DEEP)


def test_bands_are_resized_one_by_one(base: Path, tmp_path: Path) -> None:
    """A fourth channel and a deep one are resized like the first three."""
    put(base, "ir", np.full(SHAPE, 7, dtype=np.uint8))
    put(base, "depth", np.full(SHAPE, 257 * 9, dtype=np.uint16))
    options = {"channels": "rgb", "size": samples.SIZE}
    plain = load(tmp_path, **options).train.images
    four = load(tmp_path, extra=["ir/{split}"], **options).train.images
    five = load(tmp_path, extra=["ir/{split}", "depth/{split}"], **options).train.images
    assert np.array_equal(four[..., :3], plain)
    assert (four[..., 3] == 7).all()
    assert np.abs(five[..., :3] - plain).max() <= 1  # bytes are rounded after each direction
    assert five[..., 4] == pytest.approx(9)


def test_a_lost_extra_file_is_named(base: Path, tmp_path: Path) -> None:
    """Every image needs each of its further files."""
    put(base, "ir", DEEP.astype(np.uint8))
    (base / "ir" / "val" / "001.png").unlink()
    with pytest.raises(DataError, match=r"images without extra 0: 1 \(001\)"):
        load(tmp_path, extra=["ir/{split}"])


def test_an_extra_file_of_another_size_is_named(base: Path, tmp_path: Path) -> None:
    """Files of one sample have one size."""
    put(base, "ir", DEEP[:20].astype(np.uint8))
    with pytest.raises(DataError, match=r"3 of 3 images.*40×60, its image 000.png 20×60"):
        load(tmp_path, extra=["ir/{split}"])


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((*SHAPE, 3), dtype=np.uint8), "3 channels, the first one 1"),
        (DEEP, "more than 8 bits"),
    ],
)
def test_all_images_are_of_one_form(
    base: Path, tmp_path: Path, pixels: np.ndarray, words: str
) -> None:
    """An image with other channels or more bits than the first is named."""
    put(base, "images", DEEP.astype(np.uint8))
    Image.fromarray(pixels).save(base / "images" / "train" / "002.png")
    with pytest.raises(DataError, match=rf"1 of 3 images cannot be used: 002.*{words}"):
        load(tmp_path)


@pytest.mark.parametrize("odd", ["000", "002"])
def test_an_image_of_fewer_bits_is_named(base: Path, tmp_path: Path, odd: str) -> None:
    """Bytes among deep images are another scan, whichever comes first."""
    put(base, "images", DEEP)
    Image.fromarray(DEEP.astype(np.uint8)).save(base / "images" / "train" / f"{odd}.png")
    with pytest.raises(DataError, match=r"of 3 images cannot be used: .*8 bits"):
        load(tmp_path)


def test_splits_of_different_channels_are_refused(base: Path, tmp_path: Path) -> None:
    """A network takes one number of channels."""
    for path in (base / "images" / "val").iterdir():
        Image.fromarray(DEEP.astype(np.uint8)).save(path)
    with pytest.raises(DataError, match="training images have 3 channels, validation images 1"):
        load(tmp_path)


def test_pixels_that_are_no_numbers_are_refused(base: Path, tmp_path: Path) -> None:
    """A hole in a depth map would spread to every weight."""
    put(base, "images", np.full(SHAPE, np.nan, dtype=np.float32), "npy")
    with pytest.raises(DataError, match=r"000.npy: some pixels are not finite"):
        load(tmp_path)


def test_deep_images_need_to_be_asked_for(base: Path, tmp_path: Path) -> None:
    """Read as RGB they would lose digits; the message gives the remedy."""
    put(base, "images", DEEP)
    with pytest.raises(DataError, match="say `channels: stored`"):
        load(tmp_path, channels="rgb")


@pytest.mark.parametrize("pixels", [np.zeros(5), np.zeros((2, 2), dtype=complex)])
def test_arrays_that_are_no_image_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    """Shape and type are checked from the header."""
    np.save(tmp_path / "a.npy", pixels)
    with pytest.raises(DataError, match="is not an image"):
        image_files.form(tmp_path / "a.npy")


def test_arrays_are_measured_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header's size is enough to say no."""
    np.save(tmp_path / "a.npy", DEEP)
    monkeypatch.setattr(image_files, "MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="more than the 1,000 allowed"):
        image_files.read_bands(tmp_path / "a.npy")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    """Reading data never runs code."""
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        image_files.read_bands(tmp_path / "a.npy")


def test_a_network_learns_from_two_files_of_four_channels(base: Path, tmp_path: Path) -> None:
    """Colour and infrared in, scores out: loaded, augmented, trained and evaluated."""
    put(base, "infrared", DEEP)
    dataset = samples.folder(size=SHAPE, extra=["infrared/{split}"], channels="stored")
    config = samples.config().model_copy(update={"dataset": dataset})
    loaded = load(tmp_path, extra=["infrared/{split}"])
    session = samples.Reports()
    outcome = train(config, loaded, session, folder=tmp_path, context=DeviceContext(device="cpu"))
    assert loaded.train.channels == 4
    assert outcome.kind is OutcomeKind.COMPLETED
    assert [report.step for report in session.reports] == [1, 2]
    assert all(0 <= report.metrics["miou"] <= 1 for report in session.reports)
