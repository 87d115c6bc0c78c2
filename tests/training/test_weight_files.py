"""Files in place of weights: those of other networks, of other things, and in other wrappers."""

import json
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.training.networks import randomise
from tests.training.samples import config
from tuner.errors import TrainingError
from tuner.training.encoders import any_timm, convnext, efficientnet, mobilenet
from tuner.training.network import model, weights

GREY: dict[str, Any] = {"mean": (127.5,) * 3, "std": (60.0,) * 3}
Tensors = dict[str, Tensor]
_NET = nn.Module()  # never looked at


def fresh(encoder: str = "resnet18", **params: Any) -> model.SegmentationModel:
    """A small network with initial weights."""
    return model.build(config({"model.encoder": encoder, "model.decoder": "fcn", **params}), **GREY)


def stored(state: Any, folder: Path) -> Path:
    """Anything in a file."""
    torch.save(state, folder / "weights.pt")
    return folder / "weights.pt"


def resnet(name: str = "resnet18") -> Tensors:
    """The state dict of a ResNet of other numbers."""
    torch.manual_seed(1)
    state: Tensors = timm.create_model(name).state_dict()
    return state


def prefixed(prefix: str, state: Tensors) -> Tensors:
    """The same tensors, each name after a prefix."""
    return {f"{prefix}{name}": value for name, value in state.items()}


# ── Other networks ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("theirs", "ours", "first"),
    [
        ("resnet34", "resnet18", "layer1.2.conv1.weight"),
        ("resnet101", "resnet50", "layer3.6.conv1.weight"),
        ("resnet50", "resnet18", "layer1.0.conv1.weight"),
        ("resnet18", "resnet34", "layer1.2.conv1.weight"),
        ("hrnet_w18", "hrnet_w18_small_v2", "layer1.2.conv1.weight"),
    ],
)
def test_another_encoders_file_is_refused(
    tmp_path: Path, theirs: str, ours: str, first: str
) -> None:
    """The error names the file, the count, the first tensor, and the encoder that it looks like."""
    built = fresh(ours)
    before = {name: value.clone() for name, value in built.state_dict().items()}
    with pytest.raises(TrainingError, match=f"it looks like {theirs}: set model.encoder") as caught:
        weights.load(built, stored(resnet(theirs), tmp_path), encoder=ours)
    assert "weights file weights.pt" in str(caught.value)
    assert first in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in built.state_dict().items())


def test_surplus_of_an_unknown_network_is_refused(tmp_path: Path) -> None:
    """Where no encoder is like the file, the error says what to do with the tensors."""
    state = resnet() | {"layer5.0.conv1.weight": torch.zeros(3, 3)}
    with pytest.raises(TrainingError, match=r"holds 1 tensor.*layer5.*remove from the file"):
        weights.load(fresh(), stored(state, tmp_path))


def test_a_network_of_another_kind_lacks_everything(tmp_path: Path) -> None:
    """Tensors that are no encoder's at all are told as lacking."""
    path = stored(nn.Linear(2, 3).state_dict(), tmp_path)
    with pytest.raises(TrainingError, match="lacks 100 tensors of resnet18"):
        weights.load(fresh(), path, encoder="resnet18")


@pytest.mark.parametrize(
    "extra",
    [
        "fc.weight",
        "head.fc.weight",
        "classifier.0.weight",
        "aux_classifier.4.bias",
        "projection_head.layers.0.weight",
        "prototypes.weight",
        "queue",
        "bn1.num_batches_tracked",
    ],
)
def test_heads_are_no_strangers(tmp_path: Path, extra: str) -> None:
    """Classifiers and what trainings without labels put on top are left out, and counted."""
    state = {name: value for name, value in resnet().items() if not name.startswith("fc.")}
    found = weights.load(fresh(), stored(state | {extra: torch.zeros(())}, tmp_path))
    assert found.ignored in {(extra,), ()}
    assert (found.ignored == ()) == (extra in state)


def test_the_last_layers_of_the_classifier_are_no_strangers(tmp_path: Path) -> None:
    """Features end before them: HRNet's widening modules, EfficientNet's last convolution."""
    for name in ("hrnet_w18_small", "efficientnet_b0"):
        found = weights.load(fresh(name), stored(resnet(name), tmp_path))
        assert len(found.loaded) == len(fresh(name).encoder.state_dict())
        assert found.ignored


def test_the_report_counts_and_names_the_bytes(tmp_path: Path) -> None:
    """It goes into the provenance: plain values that JSON can hold."""
    path = stored(resnet(), tmp_path)
    facts = weights.load(fresh(), path).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["source"], facts["loaded"], facts["ignored"]) == ("weights.pt", 120, 2)
    assert len(facts["sha256"]) == 64
    assert "120 of 138 tensors matched" in facts["report"]


# ── Wrappers ─────────────────────────────────────────────────────────────────────────────────────

WRAPPED: dict[str, Callable[[Tensors], Any]] = {
    "lightning": lambda state: {"state_dict": prefixed("model.", state), "epoch": 3},
    "smp": lambda state: {"state_dict": prefixed("encoder.", state)},
    "mmseg": lambda state: {"meta": {}, "state_dict": prefixed("backbone.", state)},
    "parallel": lambda state: prefixed("module.", state),
    "compiled": lambda state: {"model": prefixed("_orig_mod.", state)},
    "both": lambda state: prefixed("module._orig_mod.", state),
    "moco": lambda state: {
        "state_dict": prefixed("module.encoder_q.", state)
        | prefixed("module.encoder_k.", {name: value * 0 for name, value in state.items()})
        | {"module.queue": torch.zeros(3), "module.queue_ptr": torch.zeros(1)}
    },
    "dino": lambda state: {
        "student": prefixed("module.backbone.", {name: value * 0 for name, value in state.items()}),
        "teacher": prefixed("backbone.", state) | {"head.last_layer.weight": torch.zeros(2)},
    },
    "average": lambda state: {
        "state_dict": {name: value * 0 for name, value in state.items()},
        "state_dict_ema": state,
    },
    "half": lambda state: {name: value.half() for name, value in state.items()},
    "with_numbers": lambda state: {**state, "epoch": 3, "arch": "resnet18"},
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_wrappers_are_taken_off(tmp_path: Path, wrapper: str) -> None:
    """The tensors of the encoder arrive, whatever lies around and beside them."""
    state = {name: value for name, value in resnet().items() if not name.startswith("fc.")}
    built = fresh()
    weights.load(built, stored(WRAPPED[wrapper](state), tmp_path))
    for name, value in built.encoder.net.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, state[name], rtol=1e-3, atol=1e-4)


def test_safetensors_are_known_by_their_bytes(tmp_path: Path) -> None:
    """The name of the file does not matter."""
    for name in ("weights.safetensors", "weights.pth"):
        safetensors.torch.save_file(resnet(), tmp_path / name)
        assert len(weights.load(fresh(), tmp_path / name).loaded) == 120


# ── torchvision ──────────────────────────────────────────────────────────────────────────────────

TORCHVISION = {
    "mobilenet_v2": mobilenet,
    "mobilenet_v3_large": mobilenet,
    "mobilenet_v3_small": mobilenet,
    "efficientnet_b0": efficientnet,
    "convnext_tiny": convnext,
    "tu-resnext50_32x4d": any_timm,
}


@pytest.mark.parametrize("name", TORCHVISION)
@torch.no_grad()
def test_features_are_those_of_torchvision(tmp_path: Path, name: str) -> None:
    """Its files give the numbers that its own network gives: names, order, norms and all."""
    theirs = getattr(torchvision.models, name.removeprefix("tu-"))()
    randomise(theirs)
    theirs.eval()
    built = fresh(name, **{"model.output_stride": 32}).eval()
    weights.load(built, stored(theirs.state_dict(), tmp_path))
    images = torch.randn(1, 3, 64, 32)
    if name.startswith("tu-"):
        cut = nn.Sequential(*list(theirs.children())[:-2])
    else:
        has_wide_end = name in {"mobilenet_v2", "efficientnet_b0"}
        cut = theirs.features[:-1] if has_wide_end else theirs.features
    torch.testing.assert_close(built.encoder(images)[-1], cut(images), rtol=1e-3, atol=1e-4)


def test_the_norms_of_torchvision_survive_our_own_file(tmp_path: Path) -> None:
    """What was trained with a larger epsilon is taken up with it."""
    state = torchvision.models.mobilenet_v3_small().state_dict()
    built = fresh("mobilenet_v3_small")
    assert weights.norm_eps(built) == 1e-5
    weights.load(built, stored(state, tmp_path))
    assert weights.norm_eps(built) == 1e-3
    again = fresh("mobilenet_v3_small")
    body = {"config": "{}", "model": built.state_dict(), "norm_eps": weights.norm_eps(built)}
    weights.load(again, stored(body, tmp_path))
    assert weights.norm_eps(again) == 1e-3


# ── Other things ─────────────────────────────────────────────────────────────────────────────────

PAGE = b"<!DOCTYPE html><html><body>Sign in to download</body></html>"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"see the wiki\n", "text: 'see the wiki'"),
        (PAGE, "a web page"),
        (b"\n\n  " + PAGE, "a web page"),
        (b"\xef\xbb\xbf" + PAGE, "a web page"),
        (b'{"message": "Not Found"}', "JSON text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x1f\x8b\x08\x00rest", "a gzip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"0" * 64, "as Keras writes"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\x00" * 400, "damaged"),
        (pickle.dumps({"a": random.Random(1)}), "could run code"),
        (pickle.dumps({"a": Path("x")}), "could run code"),
    ],
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_what_is_not_weights_is_reported_as_what_it_is(
    tmp_path: Path, content: bytes, words: str, name: str
) -> None:
    """The error names the file and what stands in it, without a traceback of torch's."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=f"weights file {name} .*") as caught:
        weights.load(_NET, path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "an empty dictionary"),
        ({"epoch": 3}, "a dictionary of epoch"),
        ({1: 2}, "a dictionary of 1"),
        ({1: torch.zeros(2)}, "a dictionary of 1"),
        ([torch.zeros(2)], "of type list"),
        (torch.zeros(2), "of type Tensor"),
        ({"model": {"state_dict": {}}}, "a dictionary of model"),
        (3, "of type int"),
    ],
)
def test_what_holds_no_state_dict_is_reported_by_its_kind(
    tmp_path: Path, state: Any, words: str
) -> None:
    """A file of PyTorch's with something else in it."""
    with pytest.raises(TrainingError, match=r"weights\.pt holds no state dict of tensors") as found:
        weights.load(_NET, stored(state, tmp_path))
    assert words in str(found.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: value.to(torch.int8), r"holds torch\.int8 where weights are real"),
        (lambda value: value.to("meta"), "shapes without values"),
        (lambda value: value / 0, "not finite in 100 tensors"),
    ],
)
def test_values_that_are_no_weights_are_refused(
    tmp_path: Path, change: Callable[[Tensor], Tensor], words: str
) -> None:
    """Quantised, never loaded, diverged: none is rounded, and none fails with a traceback."""
    real = {k: change(v) if v.is_floating_point() else v for k, v in resnet().items()}
    with pytest.raises(TrainingError, match=words):
        weights.load(fresh(), stored(real, tmp_path))


def test_folders_arrays_and_whole_models_are_refused(tmp_path: Path) -> None:
    """None of these is loaded, each is named."""
    (tmp_path / "folder.pth").mkdir()
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "archive.pth", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    built = fresh()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(TrainingError, match=f"weights file {path.name} "):
            weights.load(built, path)


@given(content=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_error_of_ours(tmp_path: Path, content: bytes) -> None:
    """No file makes a traceback."""
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"weights file weights\.pt "):
        weights.load(_NET, path)
