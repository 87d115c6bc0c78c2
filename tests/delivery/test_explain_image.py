"""`segtune explain-image`: pictures and words of a model's answer, and each kind of bad input."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.delivery.models import write_model
from tests.training import samples
from tuner.cli.app import app
from tuner.configs.resolve import resolve
from tuner.delivery.attribution import METHODS, Attribution
from tuner.delivery.attribution_figure import (
    PredictedImage,
    attribution_figure,
    heat_map,
    outlined,
)
from tuner.delivery.explained import Target
from tuner.spec.config import Recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the smallest network."""
    return write_model(tmp_path_factory.mktemp("model") / "model.pt")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Give a picture of another size than the network's."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def run(model: Path, image: Path, out: Path, *arguments: str) -> Result:
    """The command, with its exit code and what it says."""
    words = ["explain-image", str(model), str(image), "--out", str(out), "--device", "cpu"]
    return CliRunner().invoke(app, [*words, *arguments])


@pytest.mark.parametrize("method", METHODS)
def test_it_draws_image_prediction_and_heat_map(
    model: Path, image: Path, tmp_path: Path, method: str
) -> None:
    """By every method, of a region, with what was explained in words."""
    out = tmp_path / "new" / "why.png"
    few = ("--steps", "4", "--window", "16", "--region", "8,8,40,40", "--class", "car")
    done = run(model, image, out, "--method", method, *few)
    assert done.exit_code == 0, done.output
    assert "mean logit of 'car'" in done.stdout
    assert "over 400 pixels of the region" in done.stdout
    assert "of the region is predicted as 'car'" in done.stdout
    with Image.open(out) as picture:
        assert picture.width > 3 * 400


def test_object_regions_are_a_row_for_each_class(image: Path, tmp_path: Path) -> None:
    """Of OCRNet; the words say what the pixels read from, and it adds up to all."""
    recipe = Recipe.model_validate(
        {"model": {"decoder": "ocr", "encoder": "resnet18", "mid_channels": 8, "key_channels": 8}}
    )
    model = write_model(tmp_path / "ocr.pt", resolve(recipe, samples.synthetic(), {}))
    done = run(model, image, tmp_path / "why.png", "--method", "object-regions")
    assert done.exit_code == 0, done.output
    shares = [int(line.split()[-2]) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(100, abs=2)
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.height > 3 * 160


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--class", "cart"), "did you mean 'car'?"),
        (("--region", "90,0,10,10"), "not within the image of 96×64 pixels"),
        (("--region", "all"), "write x,y,w,h"),
        (("--method", "occlusion", "--window", "33"), "shorter side has 32"),
        (("--out", "why.txt"), "not the name of a figure"),
        (("--method", "object-regions"), "has no object regions"),
    ],
)
def test_what_cannot_be_explained_is_said(
    model: Path, image: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """One message with what is possible, and no picture."""
    done = run(model, image, tmp_path / "why.png", *arguments)
    assert done.exit_code in {1, 2}
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert said in done.stderr
    assert not (tmp_path / "why.png").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "street.png"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "street.png"),
        (b"not an image at all", "street.png"),
        (None, "there is no image file"),
    ],
)
def test_a_file_that_is_not_an_image_is_named(
    model: Path, image: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Empty, truncated, text, or not there."""
    image.unlink()
    if content is not None:
        image.write_bytes(content)
    done = run(model, image, tmp_path / "why.png")
    assert done.exit_code in {1, 2}
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert said in done.stderr


def test_an_image_of_other_channels_is_refused(tmp_path: Path, image: Path) -> None:
    """A model of two bands does not take a colour image."""
    dataset = samples.folder(channels="stored")
    config = samples.config().model_copy(update={"dataset": dataset})
    model = write_model(tmp_path / "two.pt", config, channels=2)
    done = run(model, image, tmp_path / "why.png")
    assert "street.png has 3 channels, and two.pt was trained on 2" in done.stderr


def test_a_picture_that_cannot_be_written_is_said(model: Path, image: Path, tmp_path: Path) -> None:
    """A file in the place of the folder."""
    done = run(model, image, image / "why.png", "--method", "grad-cam")
    assert done.exit_code == 1
    assert "cannot write" in done.stderr


def test_a_missing_captum_is_a_message(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    done = run(model, image, tmp_path / "why.png")
    assert "pip install 'segtune[export]'" in done.stderr


GREY = np.full((4, 4, 3), 200, dtype=np.uint8)


def test_a_heat_map_is_red_for_and_blue_against() -> None:
    """The largest value is fully red, its opposite fully blue, and zero the faint picture."""
    values = np.zeros((4, 4), dtype=np.float32)
    values[0, 0], values[3, 3] = 2, -2
    pixels, limit = heat_map(GREY, values)
    assert limit == pytest.approx(2, rel=0.01)
    assert pixels[0, 0, 0] > pixels[0, 0, 2] + 100
    assert pixels[3, 3, 2] > pixels[3, 3, 0] + 100
    assert pixels[1, 1].tolist() == [236] * 3


def test_values_that_are_all_zero_have_a_picture() -> None:
    """Nothing counts, nothing is coloured, and nothing is divided by zero."""
    pixels, limit = heat_map(GREY, np.zeros((4, 4), dtype=np.float32))
    assert (limit, np.unique(pixels).tolist()) == (1.0, [236])


def test_the_target_has_a_line_round_it() -> None:
    """White inside, black outside."""
    inside = np.zeros((4, 4), dtype=bool)
    inside[1:3, 1:3] = True
    answer = PredictedImage(GREY, np.zeros((4, 4), dtype=np.int64), samples.CLASSES)
    pixels = outlined(answer, Target(0, "sky", inside))
    assert (pixels[1:3, 1:3] == 255).all()
    assert (pixels[0, 1] == 0).all()
    assert (pixels[0, 0] != 0).any()


def test_the_picture_can_be_embedded() -> None:
    """It is a plain picture, made from arrays alone."""
    answer = PredictedImage(GREY, np.zeros((4, 4), dtype=np.int64), samples.CLASSES)
    found = Attribution(np.ones((4, 4), dtype=np.float32), 1.5, -0.5, "by hand")
    picture = attribution_figure(answer, Target(0, "sky", np.ones((4, 4), dtype=bool)), found)
    assert picture.mode == "RGB"
    assert found.gap == pytest.approx(14)
