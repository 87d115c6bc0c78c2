"""Why a model answers as it does for a class, in the report of an evaluation."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from typer.testing import CliRunner, Result

from tests.delivery import small
from tests.delivery.models import write_model
from tests.delivery.scenes import mask, part
from tests.training.samples import folder, write_folder
from tuner.cli.app import app
from tuner.configs.resolve import resolve
from tuner.delivery.attribution import classifier
from tuner.delivery.evaluation import reasons
from tuner.delivery.evaluation.scoring import Pass, score
from tuner.delivery.trained import TrainedModel
from tuner.spec.config import Recipe
from tuner.training.data.parts import Part

MODEL = {"decoder": "cnn", "encoder": "resnet18", "mid_channels": 8, "layers": 1}
CAPTIONS = ["image", "label", "prediction", "for and against 'car'"]


def test_the_images_where_the_class_is_worst_come_first(tmp_path: Path) -> None:
    """By the IoU of that class alone, as the confusion of one image gives it."""
    model, scene = (
        small.model("fcn"),
        part(tmp_path, [mask(seed=n) for n in range(4)], size=(32, 48)),
    )
    scores = score(Pass(model, scene)).images
    found = reasons.explained(model, scene, scores, "car", count=2)
    ious = [
        _iou(np.asarray(scene.label(n)), _predicted(model, scene, n), 2) for n in range(len(scene))
    ]
    assert [each.iou for each in found.images] == pytest.approx(sorted(ious)[:2])
    assert [caption for caption, _ in found.images[0].figures] == CAPTIONS


def _predicted(model: TrainedModel, scene: Part, index: int) -> np.ndarray:
    run, label = Pass(model, scene), scene.label(index)
    (one,) = run.predictions([index], [(label.shape[0], label.shape[1])], at_once=1, change=None)
    return one.classes.numpy()


def _iou(label: np.ndarray, predicted: np.ndarray, index: int) -> float:
    valid = label != 255
    both = ((label == index) & (predicted == index) & valid).sum()
    either = (((label == index) | (predicted == index)) & valid).sum()
    return float(both / either)


def test_object_regions_are_beside_it_where_the_decoder_has_them(tmp_path: Path) -> None:
    """Of OCRNet: what stands for the class, and how much each pixel reads from it."""
    model = small.model("ocr", mid_channels=8, key_channels=8)
    scene = part(tmp_path, [mask(seed=1)], size=(32, 48))
    scores = score(Pass(model, scene)).images
    found = reasons.explained(model, scene, scores, "car", count=1)
    more = ["object region", "how much a pixel reads from it"]
    assert [caption for caption, _ in found.images[0].figures] == [*CAPTIONS, *more]


def test_a_class_that_is_nowhere_has_no_image(tmp_path: Path) -> None:
    """Neither labelled nor predicted: nothing is explained, and nothing fails."""
    model = small.model("fcn")
    scene = part(tmp_path, [np.zeros((24, 32), dtype=np.uint8)], size=(32, 48))
    missing = [each for each in score(Pass(model, scene)).images if 1 not in each.iou]
    assert reasons.explained(model, scene, missing, "road", count=3).images == ()


def test_a_class_that_is_only_labelled_is_explained_there(tmp_path: Path) -> None:
    """Where it is never predicted, the pixels of its label are meant."""
    model = small.model("fcn")
    layer = classifier(model.network, small.images(batch=1))
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    layer.bias.data[2] = -1e4
    scene = part(tmp_path, [mask(seed=1)], size=(32, 48))
    scores = score(Pass(model, scene)).images
    (found,) = reasons.explained(model, scene, scores, "car", count=1).images
    assert found.iou == 0
    assert "labelled so" in found.lines[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a model."""
    place = tmp_path_factory.mktemp("place")
    write_folder(place, train=2, val=2)
    write_model(place / "model.pt", resolve(Recipe.model_validate({"model": MODEL}), folder(), {}))
    return place


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """That folder as the current one; gives a folder for reports."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("SEGTUNE_HOME", str(home / "home"))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("SEGTUNE_THREADS", "1")
    return tmp_path


def run(place: Path, *options: object) -> Result:
    """Evaluate on the validation images."""
    words = ["evaluate", "model.pt", "--split", "val", "--device", "cpu", "--images", "1"]
    out = ["--out", str(place / "report.html")]
    return CliRunner().invoke(app, [*words, *out, *map(str, options)])


def test_the_report_has_a_panel_for_the_class(place: Path) -> None:
    """Only when asked for; its figures are in the page as all others are."""
    done = run(place, "--explain", "road")
    assert done.exit_code == 0, done.output
    text = (place / "report.html").read_text()
    assert "Why &#x27;road&#x27;?" in text
    assert "mean logit of &#x27;road&#x27;" in text
    assert len(re.findall(r'src="data:image/jpeg;base64,', text)) == 3 * 4
    assert run(place).exit_code == 0
    assert "Why" not in (place / "report.html").read_text()


def test_a_class_that_the_model_does_not_have_is_named(place: Path) -> None:
    """Before anything is scored, with the nearest one."""
    done = run(place, "--explain", "raod")
    assert done.exit_code == 2
    assert "--explain: the model has no class 'raod'; did you mean 'road'?" in done.stderr
    assert list(place.iterdir()) == []


def test_captum_is_asked_for_only_with_explain(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing one is said with the command that installs it, before anything is scored."""
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    assert run(place).exit_code == 0
    (place / "report.html").unlink()
    done = run(place, "--explain", "road")
    assert "pip install 'segtune[export]'" in done.stderr
    assert list(place.iterdir()) == []
