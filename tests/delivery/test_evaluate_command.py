"""`segtune evaluate` with a real model: its files, its lines, and every bad input."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.training.samples import Reports, folder, write_folder
from tuner.cli.app import app
from tuner.configs.resolve import resolve
from tuner.spec.config import Recipe, TrialConfig
from tuner.spec.views import Best
from tuner.training.data.load import load
from tuner.training.train import train

RECIPE = {
    "model": {"decoder": "cnn", "encoder": "mobilenet_v3_small", "mid_channels": 8, "layers": 1},
    "training": {"epochs": 1, "batch_size": 2},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A folder with a data set, a trained model and its result; and its mIoU in training."""
    place = tmp_path_factory.mktemp("place")
    write_folder(place, train=4, val=3)
    config: TrialConfig = resolve(Recipe.model_validate(RECIPE), folder(), {}, seed=3)
    reports = Reports()
    data = load(config.dataset, cache=place / "home/cache", roots=(place,))
    train(config, data, reports, folder=place)
    metrics = reports.reports[-1].metrics
    best = Best(study="s", trial=1, params={}, config=config, metrics=metrics, provenance={})
    (place / "best.json").write_text(best.model_dump_json())
    (place / "config.json").write_text(config.model_dump_json())
    return place, metrics["miou"]


@pytest.fixture
def place(home: tuple[Path, float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """That folder, as the current one; gives a folder for reports."""
    monkeypatch.chdir(home[0])
    monkeypatch.setenv("SEGTUNE_HOME", str(home[0] / "home"))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("SEGTUNE_THREADS", "1")
    return tmp_path


def run(place: Path, *options: object, model: str = "model.pt", split: str = "val") -> Result:
    """Run the command; the report goes to `place`."""
    flags = ["--split", split, "--device", "cpu", "--out", place / "report.html"]
    return CliRunner().invoke(app, ["evaluate", model, *map(str, (*flags, *options))])


@pytest.mark.parametrize("model", ["model.pt", "best.json"])
def test_a_model_gets_the_score_of_its_training(
    place: Path, home: tuple[Path, float], model: str
) -> None:
    """From a model file and from a result; the report and the numbers are written."""
    done = run(place, "--json", place / "numbers.json", model=model)
    assert done.exit_code == 0, done.output
    numbers = json.loads((place / "numbers.json").read_text())
    assert numbers["metrics"]["miou"] == home[1]
    assert f"miou              {home[1]:.4f}" in done.stdout
    assert "<!doctype html>" in (place / "report.html").read_text()
    assert sorted(path.name for path in place.iterdir()) == ["numbers.json", "report.html"]


def test_views_are_options(place: Path) -> None:
    """Windows, scales and mirrors are said in the report."""
    options = ("--mode", "sliding", "--window", 32, 32, "--blend", "linear", "--scale", 1)
    done = run(place, *options, "--scale", 0.5, "--flip")
    assert done.exit_code == 0, done.output
    assert (
        "sliding window of 32×32 at the original resolution, 50% overlap, linear blending, "
        "scales 1, 0.5, with its mirror image"
    ) in (place / "report.html").read_text()


def test_robustness_is_an_option(place: Path) -> None:
    """Six corruptions and six consistencies, as lines and in the file."""
    done = run(place, "--robustness", "--json", place / "numbers.json")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("miou under") == done.stdout.count("kept when") == 6
    numbers = json.loads((place / "numbers.json").read_text())["robustness"]
    assert all(len(each["miou"]) == 5 for each in numbers["corruptions"])
    assert all(0 <= each["share"] <= 1 for each in numbers["consistency"])


def test_seeds_train_again_and_go_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trainings by fresh seeds give mean and deviation; what is there is not trained again."""
    done = run(place, "--seeds", 2, "--json", place / "numbers.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads((place / "numbers.json").read_text())
    seeds = [each["seed"] for each in numbers["seeds"]]
    assert len(set(seeds)) == 2
    values = [each["metrics"]["miou"] for each in numbers["seeds"]]
    (spread,) = [each for each in numbers["spread"] if each["metric"] == "miou"]
    assert spread["mean"] == pytest.approx(sum(values) / 2)
    assert spread["deviation"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert "± " in done.stdout
    models = sorted(path.parent.name for path in place.glob("report-seeds/*/model.pt"))
    assert models == sorted(map(str, seeds))

    again = run(place, "--seeds", 2, "--json", place / "again.json")
    assert again.stdout.count("is there already") == 2
    assert json.loads((place / "again.json").read_text())["seeds"] == numbers["seeds"]

    (place / f"report-seeds/{seeds[0]}/model.pt").write_bytes(Path("model.pt").read_bytes())
    other = run(place, "--seeds", 2)
    assert other.exit_code == 2
    assert "is of another config" in other.stderr


def test_a_config_without_weights_is_trained_by_its_seeds(place: Path) -> None:
    """Its first seed is the model of the report; without --seeds there is nothing to score."""
    done = run(place, model="config.json")
    assert done.exit_code == 2
    assert "is a config without weights" in done.stderr
    done = run(place, "--seeds", 2, "--json", place / "numbers.json", model="config.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads((place / "numbers.json").read_text())
    first = numbers["seeds"][0]
    assert numbers["subject"]["model"] == f"config.json, seed {first['seed']}"
    assert numbers["metrics"] == first["metrics"]


def other_data(**changes: Any) -> None:
    """Write config.json with another data set as other.json."""
    document = json.loads(Path("config.json").read_text())
    document["dataset"].update(changes)
    Path("other.json").write_text(json.dumps(document))


def test_another_data_set_may_be_named(place: Path) -> None:
    """The classes by place; the training images as a test of the command."""
    other_data(classes=["sky", "road", "van"])
    done = run(place, "--data", "other.json", "--split", "train")
    assert done.exit_code == 0, done.output
    assert "note: the model calls its classes otherwise" in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--split", "test"), 2, "no test split: no image file matches 'images/test'"),
        (("--split", "test", "--set", "dataset.test=val"), 2, "all 3 test images are training or"),
        (("--out", "model.pt/report.html"), 1, "cannot write model.pt/report.html"),
        (("--out", "set"), 2, "write .html, not 'set'"),
        (("--json", "set"), 1, "cannot write set: it is a folder"),
        (("--window", 32, 32), 2, "add --mode sliding"),
        (("--mode", "sliding", "--window", 8, 32), 2, "16 or more, not 8×32"),
        (("--scale", 1, "--scale", 1), 2, "given twice"),
        (("--set", "training.epochs=3"), 2, "only the data set can be changed"),
        (("--set", "dataset.root=gone"), 2, "'gone' does not exist"),
        (("--data", "other.json"), 2, "has 3 classes (sky, road, car), the data set has 2"),
    ],
)
def test_bad_input_is_said_and_nothing_is_written(
    place: Path, options: tuple[object, ...], code: int, message: str
) -> None:
    """Each with its exit code, in words, without a traceback and without a file."""
    other_data(classes=["sky", "road"])
    done = run(place, *options)
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert list(place.iterdir()) == []


def test_a_model_of_other_channels_is_refused(place: Path) -> None:
    """The message says how many each has."""
    other_data(channels="stored", extra=["images/{split}"])
    done = run(place, "--data", "other.json")
    assert done.exit_code == 2
    assert "takes images of 3 channels, those of the data set have 6" in done.stderr


def test_a_broken_image_is_named(
    place: Path, home: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is scored."""
    write_folder(tmp_path, train=2, val=2)
    (tmp_path / "set/images/val/001.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    done = run(place, "--data-root", tmp_path)
    assert done.exit_code == 2
    assert "1 of 2 images cannot be used: 001" in done.stderr
    assert not (place / "report.html").exists()
