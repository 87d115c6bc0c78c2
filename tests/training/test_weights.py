"""Weights from files of every layout, and what is said of them."""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor

from tests.training.networks import randomise
from tests.training.samples import config
from tuner.configs.resolve import resolve
from tuner.errors import TrainingError, WeightsUnavailable
from tuner.training.network import model, weights

GREY: dict[str, Any] = {"mean": (127.5,) * 3, "std": (60.0,) * 3}
SMALL = {"model.encoder": "resnet18", "model.decoder": "fcn"}


def fresh(**params: Any) -> model.SegmentationModel:
    """A small network with initial weights."""
    return model.build(config({**SMALL, **params}), **GREY)


def stored(state: dict[str, Any], folder: Path) -> Path:
    """The state in a file."""
    torch.save(state, folder / "weights.pt")
    return folder / "weights.pt"


def test_names_of_a_timm_file_find_stages(tmp_path: Path) -> None:
    """timm cuts ConvNeXt into stages whose names differ from those in its files."""
    whole = timm.create_model("convnext_atto", num_classes=7)
    built = fresh(**{"model.encoder": "convnext_atto"})
    found = weights.load(built, stored(whole.state_dict(), tmp_path))
    assert torch.equal(
        built.encoder.net.state_dict()["stages_1.blocks.0.mlp.fc1.weight"],
        whole.state_dict()["stages.1.blocks.0.mlp.fc1.weight"],
    )
    assert len(found.ignored) == 4  # its classifier and the norm before it


@torch.no_grad()
def test_torchvision_names_of_mobilenet_are_matched_in_order(tmp_path: Path) -> None:
    """Its features equal torchvision's, though no name agrees."""
    theirs = torchvision.models.mobilenet_v2()
    randomise(theirs)
    built = fresh(**{"model.encoder": "mobilenet_v2", "model.output_stride": 32}).eval()
    weights.load(built, stored(theirs.state_dict(), tmp_path))
    images = torch.randn(1, 3, 64, 32)
    expected = theirs.features[:-1].eval()(images)
    torch.testing.assert_close(built.encoder(images)[-1], expected, rtol=1e-4, atol=1e-5)


def test_a_torchvision_segmenter_gives_its_head_but_for_other_classes(tmp_path: Path) -> None:
    """The heads' convolutions are taken over in order; classifiers of 21 classes stay away."""
    theirs = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, aux_loss=True
    ).state_dict()
    built = fresh(**{"model.encoder": "resnet50"})
    found = weights.load(built, stored(theirs, tmp_path))
    own = built.state_dict()
    assert torch.equal(
        own["encoder.net.layer1.0.conv1.weight"], theirs["backbone.layer1.0.conv1.weight"]
    )
    assert torch.equal(own["decoder.head.0.weight"], theirs["classifier.0.weight"])
    assert found.reshaped == (
        "decoder.head.4.weight",
        "decoder.head.4.bias",
        "decoder.aux.4.weight",
        "decoder.aux.4.bias",
    )


def test_a_checkpoint_of_other_classes_gives_all_but_the_head(tmp_path: Path) -> None:
    """Transfer keeps the new head as initialised and says so."""
    wanted = config({"model.encoder": "mobilenet_v2"})
    classes = ("sky", "road", "car", "tree")
    dataset = wanted.dataset.model_copy(update={"classes": classes})
    other = resolve(wanted, dataset, {}, seed=1)
    source = model.build(other, **GREY)
    built = model.build(wanted, **GREY)
    before = built.state_dict()["decoder.head.weight"].clone()
    found = weights.load(built, stored({"config": "{}", "model": source.state_dict()}, tmp_path))
    assert found.reshaped == ("decoder.head.weight", "decoder.head.bias")
    assert found.missing == ()
    assert torch.equal(built.state_dict()["decoder.head.weight"], before)
    name = "decoder.merge.1.weight"
    assert torch.equal(built.state_dict()[name], source.state_dict()[name])
    assert "of another shape there: 2, first decoder.head.weight" in str(found)


def test_batch_norm_weights_fit_a_group_normed_network(tmp_path: Path) -> None:
    """Scales and shifts are taken over; statistics have no place."""
    source = fresh().encoder.net.state_dict()
    torch.nn.init.uniform_(source["bn1.weight"])
    built = fresh(**{"model.norm": "group"})
    weights.load(built, stored(source, tmp_path))
    assert torch.equal(built.encoder.net.state_dict()["bn1.weight"], source["bn1.weight"])


def stem_of(built: model.SegmentationModel) -> Tensor:
    """The first convolution's weight."""
    stem: Tensor = built.encoder.net.state_dict()["conv1.weight"]
    return stem


def test_an_rgb_stem_is_inflated_for_other_channels(tmp_path: Path) -> None:
    """RGB filters are repeated and rescaled by 3/N; a grey stem is their sum."""
    source = fresh()
    path = stored(source.encoder.net.state_dict(), tmp_path)
    rgb = stem_of(source)
    for channels, expected in ((5, rgb.repeat(1, 2, 1, 1)[:, :5] * 3 / 5), (1, rgb.sum(1, True))):
        own = ([100.0] * channels, [50.0] * channels)
        built = model.build(config(SMALL), mean=own[0], std=own[1])
        weights.load(built, path)
        torch.testing.assert_close(stem_of(built), expected)
        assert built.mean.flatten().tolist() == own[0]


def test_a_file_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(TrainingError, match=r"weights\.pt holds no state dict"):
        weights.load(fresh(), stored({"epoch": 3}, tmp_path))


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A loopback server that offers tmp_path/served/weights.pt, and an empty hub folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    stored({"a": torch.zeros(1)}, tmp_path / "served")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/weights.pt"
        server.shutdown()
        thread.join()


def test_weights_are_fetched_once_and_checked(address: str, tmp_path: Path) -> None:
    """The digest of the address names the file that is kept."""
    content = (tmp_path / "served" / "weights.pt").read_bytes()
    named = f"{address}#sha256={sha256(content).hexdigest()}"
    assert weights.locate(named, ()).read_bytes() == content
    (tmp_path / "served" / "weights.pt").unlink()
    assert weights.locate(named, ()).read_bytes() == content


def test_other_bytes_than_announced_are_refused(address: str) -> None:
    """What does not match its digest is not kept."""
    named = f"{address}#sha256={'0' * 64}"
    for _ in range(2):
        with pytest.raises(TrainingError, match="could not be fetched"):
            weights.locate(named, ())


def test_an_address_needs_a_digest() -> None:
    """Without one a config would not say what it trains with."""
    with pytest.raises(TrainingError, match="append #sha256="):
        weights.locate("https://example.org/weights.pt", ())


def test_a_file_address_is_a_path_under_the_roots(tmp_path: Path) -> None:
    """`file:` means the same as the path, allowed roots included."""
    path = stored({}, tmp_path)
    assert weights.locate(path.as_uri(), (tmp_path,)) == path
    with pytest.raises(WeightsUnavailable, match="allowed roots"):
        weights.locate(path.as_uri(), ())
