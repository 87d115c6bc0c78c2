"""An exported ONNX file is a `Predictor`; a file of somebody else is refused in plain words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from tests.delivery import small
from tuner.delivery.export.write import Exported, Options, export
from tuner.delivery.onnx_model import open_onnx
from tuner.errors import DataUnavailable, InvalidInput, TrainingError


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give an exported FCN."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return export(small.model("fcn"), path, images=small.images())


@pytest.fixture(scope="module")
def labelling(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Give an FCN exported with argmax inside, for one image of one size."""
    path = tmp_path_factory.mktemp("onnx") / "labels.onnx"
    options = Options(gives="labels", dynamic=False)
    return export(small.model("fcn"), path, options=options)


def test_it_predicts_as_the_trained_model_does(exported: Exported) -> None:
    """Logits, classes and image form are the trained model's."""
    trained, opened = small.model("fcn"), open_onnx(exported.path, threads=1)
    images = small.images((45, 70), batch=3)

    np.testing.assert_allclose(opened.logits(images), trained.logits(images), atol=1e-5)
    assert opened.classes == trained.classes
    assert (opened.size, opened.channels) == (trained.size, trained.channels)
    assert opened.align_corners == trained.align_corners
    assert opened.config == trained.config
    assert opened.name == "model.onnx"


def test_the_file_says_how_to_use_it(exported: Exported) -> None:
    """Classes, palette, image form and origin stand in the file's metadata; axes have names."""
    session = onnxruntime.InferenceSession(exported.path)
    facts = json.loads(session.get_modelmeta().custom_metadata_map["segtune"])

    assert facts["classes"] == ["sky", "road", "car"]
    assert len(facts["palette"]) == 3
    assert facts["size"] == [32, 48]
    assert facts["mean"] == [120.0] * 3
    assert facts["ignore_index"] == 255
    assert facts["config"]["model"]["decoder"] == "fcn"
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert [each.name for each in session.get_outputs()] == ["logits"]


def test_argmax_inside_gives_the_labels_of_eager(labelling: Exported) -> None:
    """With argmax inside, the output is the class of each pixel at the image's size."""
    trained, opened = small.model("fcn"), open_onnx(labelling.path)
    images = small.images(batch=3)
    right = trained.network(images)[0].argmax(1)

    assert torch.equal(opened.labels(images).long(), right)
    with pytest.raises(TrainingError, match="no scores; export it with --logits"):
        opened.logits(images)


def test_a_file_of_one_size_names_it(labelling: Exported) -> None:
    """An image of another size is refused by a file of one size."""
    with pytest.raises(TrainingError, match=r"takes images of 32×48 .* only, not 64×48"):
        open_onnx(labelling.path).labels(small.images((64, 48)))


def test_another_number_of_channels_is_refused(exported: Exported) -> None:
    """An image of four channels is no input of a model of three."""
    with pytest.raises(TrainingError, match=r"have 4 channels, model\.onnx was trained on 3"):
        open_onnx(exported.path).logits(small.images(channels=4))


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """An ONNX file without our metadata is refused, and its inputs are named."""
    path = tmp_path / "theirs.onnx"
    onnx.save_model(_addition(), path)
    with pytest.raises(TrainingError, match=r"not an ONNX file of segtune.*inputs: a \[1\], b"):
        open_onnx(path)


def test_a_changed_file_of_ours_is_refused(exported: Exported, tmp_path: Path) -> None:
    """A file with our metadata but several inputs is refused."""
    path, model = tmp_path / "changed.onnx", _addition()
    model.metadata_props.extend(onnx.load(exported.path).metadata_props)
    onnx.save_model(model, path)
    with pytest.raises(TrainingError, match="has 2 inputs and 1 outputs"):
        open_onnx(path)


def test_unreadable_metadata_is_refused(tmp_path: Path) -> None:
    """Metadata that lacks something is named with what it lacks."""
    path, model = tmp_path / "odd.onnx", _addition()
    model.metadata_props.add(key="segtune", value="{}")
    onnx.save_model(model, path)
    with pytest.raises(TrainingError, match="cannot read"):
        open_onnx(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"palette": [[0, 0, 0]]}, "1 colour for 3 classes"),
        ({"palette": [[0, 0, 300]] * 3}, "palette"),
        ({"palette": [[0, 0, -1]] * 3}, "palette"),
        ({"classes": [], "palette": []}, "classes"),
        ({"size": [0, 48]}, "size"),
        ({"size": [-32, 48]}, "size"),
        ({"channels": 0, "mean": [], "std": []}, "channels"),
        ({"channels": 4}, "3 means and 3 deviations for 4 channels"),
        ({"gives": "nothing"}, "gives"),
    ],
)
def test_metadata_that_cannot_be_is_refused(
    changes: dict[str, Any], said: str, exported: Exported, tmp_path: Path
) -> None:
    """What the metadata says of a model is checked where it is read."""
    with pytest.raises(TrainingError, match=rf"forged\.onnx holds metadata.*{said}"):
        open_onnx(forged(exported, tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "channels"),
    [
        ({"channels": 4, "mean": [0.0] * 4, "std": [1.0] * 4}, 4),
        ({"classes": ["sky", "road"], "palette": [[0, 0, 0]] * 2}, 3),
    ],
)
def test_a_graph_that_is_not_as_its_metadata_says_is_refused(
    changes: dict[str, Any], channels: int, exported: Exported, tmp_path: Path
) -> None:
    """A graph of other channels or classes is an error of ours that names the file."""
    opened = open_onnx(forged(exported, tmp_path, **changes))
    with pytest.raises(TrainingError, match=r"^forged\.onnx (cannot be run|gives)"):
        opened.logits(small.images(channels=channels))


def test_scores_that_are_said_to_be_labels_are_refused(exported: Exported, tmp_path: Path) -> None:
    """Floats of four dimensions are no labels."""
    opened = open_onnx(forged(exported, tmp_path, gives="labels"))
    with pytest.raises(TrainingError, match="says that it gives labels"):
        opened.labels(small.images())


def test_labels_beyond_the_classes_are_refused(labelling: Exported, tmp_path: Path) -> None:
    """There is no colour for them."""
    one = {"classes": ["sky"], "palette": [[0, 0, 0]]}
    opened = open_onnx(forged(labelling, tmp_path, **one))
    with pytest.raises(TrainingError, match="below 1"):
        opened.labels(small.images())


def forged(exported: Exported, folder: Path, **changes: Any) -> Path:
    """An exported file whose metadata was changed."""
    path, model = folder / "forged.onnx", onnx.load(exported.path)
    for each in model.metadata_props:
        if each.key == "segtune":
            each.value = json.dumps(json.loads(each.value) | changes)
    onnx.save_model(model, path)
    return path


def test_a_truncated_file_is_refused(exported: Exported, tmp_path: Path) -> None:
    """A part of a file is refused with its name."""
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.path.read_bytes()[:3000])
    with pytest.raises(TrainingError, match=r"cut\.onnx is not an ONNX file"):
        open_onnx(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(DataUnavailable, match=r"no model file .*gone\.onnx"):
        open_onnx(tmp_path / "gone.onnx")


def test_a_provider_that_is_not_there_is_named(exported: Exported) -> None:
    """A provider that this onnxruntime lacks is named beside those that it has."""
    with pytest.raises(InvalidInput, match="CPUExecutionProvider"):
        open_onnx(exported.path, providers=["NoSuchProvider"])


def _addition() -> onnx.ModelProto:
    """A graph of two inputs."""
    one = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "abc"]
    node = helper.make_node("Add", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "add", one[:2], one[2:])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)
