"""Every form of a model goes to every command that can use it, and to no other."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.delivery.models import write_model
from tests.training.samples import folder, write_folder
from tuner.cli import models
from tuner.cli.app import app
from tuner.configs.resolve import resolve
from tuner.delivery.compress.quantisation import (
    CalibrationImages,
    OnnxSource,
    calibrated,
    quantised,
)
from tuner.delivery.export.write import Options, export
from tuner.delivery.trained import open_model
from tuner.spec.config import DatasetConfig, Recipe
from tuner.spec.ensemble import EnsembleDocument, EnsembleMember, SingleBest
from tuner.spec.messages import ArtifactRef
from tuner.spec.study import Objective
from tuner.spec.views import Best
from tuner.training.data.load import load

MODEL = {"decoder": "cnn", "encoder": "resnet18", "mid_channels": 8, "layers": 1}
SINGLE = ("model.pt", "best.json", "streets")
EXPORTED = ("model.onnx", "model.int8.onnx", "model.ts", "model.pt2")
OTHERS = ("ensemble.json", *EXPORTED)
KIND = {
    "ensemble.json": "is an ensemble",
    "model.onnx": "is an ONNX file",
    "model.int8.onnx": "is an ONNX file",
    "model.ts": "is a TorchScript file",
    "model.pt2": "is a torch.export file",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a model in every form."""
    place = tmp_path_factory.mktemp("place")
    write_folder(place, train=2, val=2)
    config = resolve(Recipe.model_validate({"model": MODEL}), folder(), {})
    trained = open_model(write_model(place / "model.pt", config))
    best = Best(study="streets", trial=1, params={}, config=config, metrics={}, provenance={})
    (place / "best.json").write_text(best.model_dump_json())
    wide = export(trained, place / "model.onnx", form="onnx")
    export(trained, place / "model.ts", form="torchscript")
    export(trained, place / "model.pt2", form="torch-export")
    export(trained, place / "labels.ts", form="torchscript", options=Options(gives="labels"))
    data = load(config.dataset, cache=place / "home/cache", roots=(place,))
    source, images = OnnxSource(wide.path, wide.facts, 1), CalibrationImages(data.train, 2)
    quantised(calibrated(source, images, "minmax", folder=place), place / "model.int8.onnx")
    write_model(place / "other.pt", config, seed=1)
    _write_ensemble(place, config.dataset)
    return place


def _write_ensemble(place: Path, dataset: DatasetConfig) -> None:
    """Two models, of which one counts nine times as much."""
    document = EnsembleDocument(
        study="streets",
        dataset=dataset,
        metric=Objective(metric="miou"),
        value=0.5,
        single_best=SingleBest(trial=1, value=0.4),
        considered=2,
        images=2,
        members=tuple(
            EnsembleMember(
                trial=trial,
                weight=weight,
                sha256=sha256((place / name).read_bytes()).hexdigest(),
                path=name,
            )
            for trial, (name, weight) in enumerate([("model.pt", 0.9), ("other.pt", 0.1)])
        ),
    )
    (place / "ensemble.json").write_text(document.model_dump_json())


class _Server:
    """Stands for a server whose study `streets` kept the model of its best trial."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def best(self, study: str) -> Best:
        """The result of the study."""
        found = Best.model_validate_json((self._place / "best.json").read_text())
        digest = sha256((self._place / "model.pt").read_bytes()).hexdigest()
        kept = ArtifactRef(id=1, name="model.pt", kind="model", size=1, sha256=digest)
        return found.model_copy(update={"provenance": {"artifacts": [kept.model_dump()]}})

    def download(self, artifact: int, path: Path) -> None:
        """Copy the model."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((self._place / "model.pt").read_bytes())


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """That folder as the current one, and a server; gives a folder for results."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("SEGTUNE_THREADS", "1")
    monkeypatch.setenv("SEGTUNE_DEVICE", "cpu")
    monkeypatch.setattr(models, "connect", lambda server, token: _Server(home))
    return tmp_path


def run(*words: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(word) for word in words])


def evaluate(place: Path, model: str, *options: object) -> Result:
    """Evaluate on the validation images; the report and the numbers go to `place`."""
    files = ("--out", place / "report.html", "--json", place / "numbers.json")
    return run("evaluate", model, "--split", "val", *files, *options)


def numbers(place: Path) -> dict[str, Any]:
    """What an evaluation has written."""
    found: dict[str, Any] = json.loads((place / "numbers.json").read_text())
    return found


@pytest.mark.parametrize("model", [*SINGLE, "model.onnx", "model.ts", "model.pt2"])
def test_every_form_of_a_model_has_its_score(place: Path, model: str) -> None:
    """The same as the model's own, on the data set that the file names."""
    done = evaluate(place, model)
    assert done.exit_code == 0, done.output
    found = numbers(place)
    evaluate(place, "model.pt")
    expected = numbers(place)
    assert found["metrics"] == pytest.approx(expected["metrics"], abs=2e-3)
    assert found["subject"]["data"] == expected["subject"]["data"]
    assert len(found["subject"]["weights"]) == 64


@pytest.mark.parametrize("model", ["ensemble.json", "model.int8.onnx"])
def test_forms_that_are_models_of_their_own_are_scored(place: Path, model: str) -> None:
    """An ensemble and an INT8 file, on their data set and on one that is named."""
    done = evaluate(place, model)
    assert done.exit_code == 0, done.output
    found = numbers(place)
    assert 0 <= found["metrics"]["miou"] <= 1
    named = evaluate(place, model, "--data", "best.json", "--set", "dataset.root=set")
    assert named.exit_code == 0, named.output
    assert numbers(place)["metrics"] == found["metrics"]


def test_an_ensemble_is_called_by_its_study(place: Path) -> None:
    """In the lines and in the report."""
    done = evaluate(place, "ensemble.json")
    assert "ensemble of streets on 2 val images" in done.stdout
    assert "ensemble of streets" in (place / "report.html").read_text()


@pytest.mark.parametrize("model", OTHERS)
def test_only_a_trained_model_has_other_seeds(place: Path, model: str) -> None:
    """The message says what to name; nothing is trained and nothing written."""
    done = evaluate(place, model, "--seeds", 2)
    assert done.exit_code == 2, done.output
    kind = "an ensemble" if model == "ensemble.json" else "an exported file"
    assert f"--seeds: {model} is {kind}" in done.stderr
    assert "name a model.pt, a best.json or a study" in done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("model", ["ensemble.json", "model.onnx"])
def test_only_a_trained_model_is_explained(place: Path, model: str) -> None:
    """Nothing else has layers that can be looked into."""
    done = evaluate(place, model, "--explain", "road")
    assert done.exit_code == 2
    assert "--explain" in done.stderr
    assert "name its model.pt or its study" in done.stderr
    assert list(place.iterdir()) == []


def test_a_file_that_gives_labels_has_no_scores(place: Path) -> None:
    """It predicts, but cannot be evaluated; the message says how to export it."""
    done = evaluate(place, "labels.ts")
    assert done.exit_code == 2
    assert "labels.ts gives the class of each pixel and no scores" in done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("model", [*SINGLE, *OTHERS, "labels.ts"])
def test_every_form_predicts(place: Path, model: str) -> None:
    """Masks of the image's size; those of a trained model and its exports are alike."""
    done = run("predict", model, "set/images/val", "--as", "mask", "--out", place / "out")
    assert done.exit_code == 0, done.output
    masks = sorted((place / "out").iterdir())
    assert len(masks) == 2
    run("predict", "model.pt", "set/images/val", "--as", "mask", "--out", place / "own")
    for path in masks:
        found, own = (np.asarray(Image.open(each)) for each in (path, place / "own" / path.name))
        assert found.shape == own.shape
        if model in {*SINGLE, "model.onnx", "model.ts", "model.pt2"}:
            assert (found == own).mean() > 0.99


@pytest.mark.parametrize("model", OTHERS)
@pytest.mark.parametrize("command", ["export", "prune", "quantize", "card", "explain-image"])
def test_a_command_for_trained_networks_names_what_it_was_given(
    place: Path, command: str, model: str
) -> None:
    """And what to name instead; nothing is written."""
    more = ["set/images/val/000.png"] if command == "explain-image" else []
    out = place / {"quantize": "x.onnx", "explain-image": "x.png"}.get(command, "x")
    done = run(command, model, *more, "--out", out)
    assert done.exit_code == 2, done.output
    assert f"{model}: {KIND[model]}" in done.stderr
    assert "model.pt" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.json", b'{"kind": "ensemble"', "cut.json"),
        ("empty.json", b'{"kind": "ensemble"}', "members"),
        ("cut.pt", b"PK\x03\x04", "is not a whole model file"),
        ("words.txt", b"no model", "words.txt"),
        ("theirs.onnx", b"\x08\x07", "theirs.onnx"),
        ("gone.json", None, "there is no file gone.json"),
    ],
)
def test_a_file_that_is_no_model_is_named(
    place: Path, command: str, name: str, content: bytes | None, said: str
) -> None:
    """Damaged, of somebody else, or not there: one message."""
    path = Path(name) if content is None else place / name
    if content is not None:
        path.write_bytes(content)
    more = ["set/images/val", "--out", place / "out"] if command == "predict" else []
    done = run(command, path, *more)
    assert done.exit_code in {1, 2}
    assert isinstance(done.exception, SystemExit)
    assert said in done.stderr
