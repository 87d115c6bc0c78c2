"""INT8: calibrated on training images, close to float, and held to a drop."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training import samples
from tuner.configs.resolve import resolve
from tuner.delivery.compress import costs, sensitivity
from tuner.delivery.compress.quantisation import (
    Calibrated,
    CalibrationImages,
    OnnxSource,
    calibrated,
    quantised,
)
from tuner.delivery.compress.sensitivity import SensitivitySearch, Within
from tuner.delivery.export.write import Options, export
from tuner.delivery.facts import KEY
from tuner.delivery.trained import TrainedModel, open_model
from tuner.errors import DataError, PackageMissing, TrainingError
from tuner.spec.config import Recipe
from tuner.training.data.load import Data, load
from tuner.training.determinism import DeviceContext
from tuner.training.evaluate import confusion
from tuner.training.train import train


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Give the scenes of the config."""
    return load(samples.config().dataset, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, scenes: Data) -> TrainedModel:
    """Give a small network that has learned a little."""
    base = Recipe.model_validate(
        {
            "model": {"decoder": "cnn", "encoder": "resnet18"},
            "training": {"epochs": 2, "batch_size": 2},
        }
    )
    folder = tmp_path_factory.mktemp("trained")
    train(resolve(base, samples.synthetic(), {}), scenes, samples.Reports(), folder=folder)
    return open_model(folder / "model.pt")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, trained: TrainedModel) -> OnnxSource:
    """Give its ONNX file."""
    path = tmp_path_factory.mktemp("float") / "float.onnx"
    options = Options(gives="logits", dynamic=False)
    return OnnxSource(path, export(trained, path, options=options).facts, threads=1)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, source: OnnxSource, scenes: Data) -> Calibrated:
    """Give the file with the ranges of its tensors."""
    folder = tmp_path_factory.mktemp("ranges")
    return calibrated(source, CalibrationImages(scenes.train, 4), "minmax", folder=folder)


def first_image(scenes: Data) -> torch.Tensor:
    """One training image."""
    return costs.image(scenes.train, 0)


def test_it_is_close_to_float_and_a_model_like_any_other(
    ready: Calibrated, source: OnnxSource, scenes: Data, tmp_path: Path
) -> None:
    """A fraction of the bytes, logits within a bound, classes and size in its metadata."""
    found = quantised(ready, tmp_path / "int8.onnx")

    right = source.opened().logits(first_image(scenes))
    error = (found.logits(first_image(scenes)) - right).square().mean() / right.var()
    assert float(error) < 0.05
    assert (tmp_path / "int8.onnx").stat().st_size < 0.4 * source.path.stat().st_size
    assert found.facts == source.facts.model_copy(update={"precision": "int8"})
    assert found.session.get_modelmeta().custom_metadata_map[KEY]
    assert abs(costs.score(found, scenes.val) - costs.score(source.opened(), scenes.val)) < 0.1


def test_its_weights_are_whole_numbers_by_channel(ready: Calibrated, tmp_path: Path) -> None:
    """QDQ with a scale for each output channel, and seven bits against overflow."""
    import onnx
    from onnx import numpy_helper

    quantised(ready, tmp_path / "int8.onnx")
    graph = onnx.load(str(tmp_path / "int8.onnx")).graph
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    kernels = [value for value in values.values() if value.dtype == np.int8 and value.ndim == 4]
    scales = {
        len(values[node.input[1]])
        for node in graph.node
        if node.op_type == "DequantizeLinear" and values[node.input[1]].ndim == 1
    }
    assert len(kernels) == len(ready.layers)
    assert max(int(np.abs(each.astype(int)).max()) for each in kernels) <= 64
    assert {len(each) for each in kernels} <= scales


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_ranges_may_be_chosen_otherwise(
    method: str, source: OnnxSource, scenes: Data, tmp_path: Path
) -> None:
    """By the divergence of histograms, or without the rarest values."""
    found = calibrated(source, CalibrationImages(scenes.train, 2), method, folder=tmp_path)  # type: ignore[arg-type]  # of a parameter
    logits = quantised(found, tmp_path / "int8.onnx").logits(first_image(scenes))
    assert torch.isfinite(logits).all()


def test_a_layer_may_stay_in_float(ready: Calibrated, tmp_path: Path) -> None:
    """Its kernel is as it was."""
    import onnx

    quantised(ready, tmp_path / "int8.onnx", in_float=ready.layers[:2])
    graph = onnx.load(str(tmp_path / "int8.onnx")).graph
    bytes_ = [each for each in graph.initializer if each.data_type == onnx.TensorProto.INT8]
    assert len([each for each in bytes_ if len(each.dims) == 4]) == len(ready.layers) - 2


def test_the_images_are_a_counted_draw_of_the_training_split(scenes: Data) -> None:
    """The same each time, each once, and no more than there are."""
    first, again = CalibrationImages(scenes.train, 3), CalibrationImages(scenes.train, 3)
    assert len(CalibrationImages(scenes.train, 1000)) == len(scenes.train)
    assert all(np.array_equal(first.image(i), again.image(i)) for i in range(3))
    given = []
    while (each := first.get_next()) is not None:
        given.append(each["images"])
    assert [each.shape for each in given] == [(1, 3, *samples.SIZE)] * 3
    assert len({each.tobytes() for each in given}) == 3


def test_the_score_is_that_of_training(trained: TrainedModel, scenes: Data) -> None:
    """Counted through the predictor's contract, to the last pixel."""
    right = confusion(
        trained.network, scenes.val, context=DeviceContext(), determinism="exact", batch_size=1
    )
    assert costs.confusion(trained, scenes.val) == right


@dataclass(frozen=True)
class Scripted(SensitivitySearch):
    """A search in which the score holds with so many layers in float."""

    needed: int = 0
    tried: list[int] = field(default_factory=list)

    def _attempt(self, in_float: tuple[str, ...]) -> Within:
        self.tried.append(len(in_float))
        miou = 0.9 if len(in_float) >= self.needed else 0.5
        return Within(Path("x"), miou, in_float, {})


@pytest.mark.parametrize("needed", [0, 1, 2, 3, 5, 6, 7, 12])
def test_no_more_layers_stay_in_float_than_have_to(
    needed: int,
    ready: Calibrated,
    source: OnnxSource,
    scenes: Data,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The most harmed ones first, found in a few tries."""
    layers = tuple(f"layer{index}" for index in range(24))
    harm = {name: float(index) for index, name in enumerate(layers)}
    monkeypatch.setattr(sensitivity, "harms", lambda *_, **__: harm)
    search = Scripted(ready, scenes.val, 0.9, 0.01, Path("x"), needed=needed)

    found = search.run(source, CalibrationImages(scenes.train, 1))

    assert found.in_float == tuple(reversed(layers))[:needed]
    assert len(search.tried) <= 9


def test_a_model_that_loses_more_is_refused(
    ready: Calibrated, source: OnnxSource, scenes: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With half of its layers in float there would be little to gain."""
    harm = {f"layer{index}": 1.0 for index in range(9)}
    monkeypatch.setattr(sensitivity, "harms", lambda *_, **__: harm)
    search = Scripted(ready, scenes.val, 0.9, 0.01, Path("x"), needed=5)
    with pytest.raises(TrainingError, match=r"more than 0\.01 of its miou of 0\.9000 .*4 of 9"):
        search.run(source, CalibrationImages(scenes.train, 1))


def test_harm_is_measured_layer_by_layer(
    ready: Calibrated, source: OnnxSource, scenes: Data, tmp_path: Path
) -> None:
    """Each layer alone disturbs the logits a little, and not all alike."""
    few = Calibrated(
        ready.source, ready.ranges, ready.facts, ready.layers[:3], ready.left, ready.method, 1
    )
    harm = sensitivity.harms(few, source, CalibrationImages(scenes.train, 1), folder=tmp_path)
    assert list(harm) == list(ready.layers[:3])
    assert all(0 < each < 1 for each in harm.values())


def test_without_an_image_nothing_is_calibrated(
    source: OnnxSource, scenes: Data, tmp_path: Path
) -> None:
    """Ranges would be guesses."""
    with pytest.raises(DataError, match="no training image to calibrate with"):
        calibrated(source, CalibrationImages(scenes.train, 0), "minmax", folder=tmp_path)


def test_a_missing_package_is_named(
    source: OnnxSource, scenes: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what installs it."""
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime.quantization", None)
    with pytest.raises(PackageMissing, match=r"segtune\[export\]"):
        calibrated(source, CalibrationImages(scenes.train, 1), "minmax", folder=tmp_path)
