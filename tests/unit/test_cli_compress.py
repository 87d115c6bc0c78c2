"""`segtune prune` and its like: a report, a model that opens, and a message for each mistake."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.delivery.models import write_model
from tests.training import samples
from tuner.cli.app import app
from tuner.cli.compress import pruning
from tuner.delivery.onnx_model import open_onnx
from tuner.delivery.trained import open_model
from tuner.training.data.load import load
from tuner.training.network.model import parameter_count
from tuner.training.train import train

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small trained model."""
    folder = tmp_path_factory.mktemp("trained")
    data = load(samples.config().dataset, cache=folder / "cache")
    train(samples.config(), data, samples.Reports(), folder=folder)
    return folder / "model.pt"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGTUNE_CACHE_FOLDER", str(tmp_path / "cache"))
    monkeypatch.setenv("SEGTUNE_DEVICE", "cpu")


def run(*words: str | Path) -> tuple[int, str]:
    """Exit code and everything that the command said."""
    result = RUNNER.invoke(app, [str(word) for word in words])
    return result.exit_code, " ".join(result.output.split())


def test_prune_leaves_a_smaller_model_and_says_what_it_cost(model: Path, tmp_path: Path) -> None:
    """Before, pruned and fine-tuned stand side by side, on the screen and as JSON."""
    code, said = run("prune", model, "--ratio", "0.4", "--epochs", "1", "--json", "report.json")

    assert code == 0, said
    steps = json.loads((tmp_path / "report.json").read_text())["steps"]
    opened = open_model(tmp_path / "pruned" / "model.pt")
    assert [each["name"] for each in steps] == ["before", "pruned", "fine-tuned"]
    assert all(each["latency_ms"] > 0 and 0 <= each["miou"] <= 1 for each in steps)
    assert steps[-1]["parameters"] == parameter_count(opened.network) < steps[0]["parameters"]
    assert steps[-1]["bytes"] == (tmp_path / "pruned" / "model.pt").stat().st_size
    assert opened.config.optimizer.lr == pytest.approx(0.1 * samples.config().optimizer.lr)
    assert opened.config.training.epochs == 1
    assert "kept whole: decoder.head" in said
    assert "fine-tuned" in said


def test_an_interrupted_prune_promises_nothing_that_it_has_not() -> None:
    """It cannot be resumed; what is left is named."""
    said = pruning._stopped(1, 5, Path("pruned"))
    assert "--resume" not in said
    assert "stopped in epoch 2 of 5" in said
    assert "pruned/pruned.pt" in said


def test_prune_without_fine_tuning_is_quick(model: Path, tmp_path: Path) -> None:
    """The pruned network is the model then."""
    code, said = run("prune", model, "--epochs", "0", "--layer", "encoder=0", "--out", "out")
    assert code == 0, said
    assert open_model(tmp_path / "out" / "model.pt").network.pruning["layers"] == {"encoder": 0}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ratio", "1.0"), "--ratio: is the share of channels to take"),
        (("--layer", "encoder"), "write NAME=SHARE"),
        (("--layer", "encoder=1"), "--layer encoder: is the share of channels to take"),
        (("--layer", "nothing=0.5"), "--layer nothing: is not a part of the network"),
        (("--round-to", "0"), "--round-to: is at least 1"),
        (("--set", "optimizer.lr=1"), "only the data set can be changed"),
        (("--set", "dataset.classes=[a, b]"), "was trained on sky, road, car"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    model: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    """With the flag that it is about."""
    code, said = run("prune", model, *words)
    assert code == 2, said
    assert told in said
    assert "Traceback" not in said
    assert not (tmp_path / "pruned").exists()


def test_quantize_writes_a_file_that_keeps_its_score(tmp_path: Path) -> None:
    """Torch, ONNX and INT8 stand side by side; what stayed in float is listed."""
    few_layers = {"model.decoder": "cnn", "model.layers": 2, "model.encoder": "resnet18"}
    write_model(tmp_path / "model.pt", samples.config(few_layers))
    code, said = run(
        *("quantize", "model.pt", "--images", "2", "--calibration", "minmax", "--max-drop", "1"),
        *("--json", "report.json"),
    )

    assert code == 0, said
    report = json.loads((tmp_path / "report.json").read_text())
    opened = open_onnx(tmp_path / "model.int8.onnx")
    assert [each["name"].split(",")[0] for each in report["steps"]] == ["torch", "onnx", "onnx"]
    assert report["steps"][2]["bytes"] < 0.5 * report["steps"][1]["bytes"]
    assert report["in_float"] == []
    assert opened.classes == samples.CLASSES
    assert opened.facts.precision == "int8"
    assert "calibrating with 2 images" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--images", "0"), "--images"),
        (("--max-drop", "2"), "--max-drop"),
        (("--calibration", "guess"), "--calibration"),
        (("--out", "model.int8"), "--out: names an ONNX file, which ends in .onnx"),
        (("--set", "dataset.classes=[a, b]"), "was trained on sky, road, car"),
    ],
)
def test_a_mistake_in_quantize_is_told(
    model: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    """With the flag that it is about, and nothing is written."""
    code, said = run("quantize", model, *words)
    assert code == 2, said
    assert told in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("*.onnx"))


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    """By both commands."""
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04 cut off")
    for command in ("prune", "quantize"):
        code, said = run(command, "model.pt")
        assert code not in {0, 2}, said
        assert "model.pt" in said
        assert "Traceback" not in said


def test_a_folder_that_cannot_be_written_is_named(model: Path, tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "taken").write_text("")
    code, said = run("prune", model, "--epochs", "0", "--out", "taken")
    assert code != 0
    assert "cannot write taken/model.pt" in said


def test_a_missing_package_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read."""
    monkeypatch.setitem(__import__("sys").modules, "torch_pruning", None)
    code, said = run("prune", model)
    assert code != 0
    assert "pip install 'segtune[export]'" in said
