"""`segtune export` and `segtune predict` from a trial's model file to pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.training import samples
from tuner.cli.app import app
from tuner.training.data.load import load
from tuner.training.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a trained `model.pt` and an image."""
    folder = tmp_path_factory.mktemp("work")
    config = samples.config()
    config = config.model_copy(
        update={"training": config.training.model_copy(update={"epochs": 1})}
    )
    data = load(config.dataset, cache=folder / "cache")
    train(config, data, samples.Reports(), folder=folder)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "street.png")
    return folder


def run(folder: Path, *words: object) -> Result:
    """Run a command with its cache in the folder."""
    runner = CliRunner(env={"SEGTUNE_HOME": str(folder), "NO_COLOR": "1"})
    return runner.invoke(app, [str(word) for word in words])


def test_a_model_is_exported_and_predicts(folder: Path) -> None:
    """The exported file is compared on validation images, and predicts like the model."""
    done = run(folder, "export", folder / "model.pt", "--to", "torchscript", "-o", folder / "m.ts")
    assert done.exit_code == 0, done.output
    assert "compared on 2 validation images: max abs difference" in done.output
    assert "logits, any batch, any size" in done.output

    found = []
    for model in ("model.pt", "m.ts"):
        out = folder / f"out-{model}"
        done = run(
            folder, "predict", folder / model, folder / "street.png", "--as", "mask", "-o", out
        )
        assert done.exit_code == 0, done.output
        assert f"wrote 1 image (mask) to {out}" in done.output.replace("\n", " ")
        with Image.open(out / "street.png") as image:
            found.append(np.asarray(image))
    np.testing.assert_array_equal(found[0], found[1])


def test_a_broken_input_sets_the_exit_code(folder: Path) -> None:
    """A broken image is named, the other is written, and the exit code is 1."""
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    inputs = (folder / "broken.png", folder / "street.png")
    done = run(folder, "predict", folder / "model.pt", *inputs, "-o", folder / "out")

    assert done.exit_code == 1
    assert "broken.png" in done.output
    assert "1 of 2 inputs failed" in done.output
    assert [path.name for path in (folder / "out").iterdir()] == ["street.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "gone.pt"), "there is no file gone.pt"),
        (("export", "MODEL", "--opset", "7"), "--opset: 7 is not an opset"),
        (("export", "MODEL", "--to", "torchscript", "-o", "FOLDER/no/x.ts"), "cannot write"),
        (("predict", "MODEL", "gone.png"), "there is no gone.png"),
        (("predict", "MODEL", "FOLDER/street.png", "-o", "FOLDER/model.pt"), "cannot write to"),
    ],
)
def test_bad_input_is_a_message(words: tuple[str, ...], said: str, folder: Path) -> None:
    """Bad input gives one message and an exit code, and no traceback."""
    given = [word.replace("MODEL", str(folder / "model.pt")) for word in words]
    done = run(folder, *(word.replace("FOLDER", str(folder)) for word in given))

    assert done.exit_code in {1, 2}
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_card_is_written(folder: Path) -> None:
    """A model's card is printed, or written to a file."""
    printed = run(folder, "card", folder / "model.pt")
    assert "# deeplabv3plus on tu-test_efficientnet: 3 classes" in printed.output
    done = run(folder, "card", folder / "model.pt", "-o", folder / "card.md")
    assert done.exit_code == 0
    assert (folder / "card.md").read_text(encoding="utf-8") == printed.output
