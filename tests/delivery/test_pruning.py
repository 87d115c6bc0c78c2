"""A pruned network is a smaller one of the same answers, and a model like any other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import samples
from tests.training.networks import randomise
from tuner.configs.resolve import resolve
from tuner.delivery.compress.pruning import Pruned, PruningPlan, prune
from tuner.delivery.trained import open_model
from tuner.errors import InvalidInput, PackageMissing, TrainingError
from tuner.spec.config import Recipe, TrialConfig
from tuner.training.data.load import Data, load
from tuner.training.network import model
from tuner.training.network.model import SegmentationModel
from tuner.training.network.model_files import write_model
from tuner.training.train import train

SMALL: dict[str, dict[str, Any]] = {
    "ocr": {"mid_channels": 32, "key_channels": 16},
    "deeplabv3plus": {"mid_channels": 16, "low_channels": 8},
}


def config(decoder: str = "deeplabv3plus", encoder: str = "mobilenet_v2", **more: Any) -> Any:
    """A recipe of one epoch for a network."""
    settings = {"decoder": decoder, "encoder": encoder, **SMALL.get(decoder, {}), **more}
    base = Recipe.model_validate(
        {"model": settings, "training": {"epochs": 1, "batch_size": 2, "ema": 0.9}}
    )
    return resolve(base, samples.synthetic(), {})


def network(given: TrialConfig) -> SegmentationModel:
    """A network of a config, with statistics that are not trivial."""
    torch.manual_seed(0)
    built = model.build(given, mean=(100.0,) * 3, std=(50.0,) * 3)
    randomise(built)
    return built.eval()


def pruned(given: TrialConfig, ratio: float = 0.4, **plan: Any) -> Pruned:
    """A network of that config, pruned."""
    return prune(network(given), PruningPlan(ratio, **plan), classes=3)


def images(seed: int = 0) -> torch.Tensor:
    """Two images whose sides no stride divides."""
    return torch.rand(2, 3, 45, 66, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Give the scenes of the config."""
    return load(samples.config().dataset, cache=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    ("decoder", "encoder"),
    [
        ("ocr", "resnet18"),
        ("ocr", "hrnet_w18_small"),
        ("deeplabv3plus", "mobilenet_v2"),
        ("fcn", "resnet18"),
        ("unet", "mobilenet_v2"),
    ],
)
def test_it_opens_again_bit_for_bit(decoder: str, encoder: str, tmp_path: Path) -> None:
    """Smaller by about the square of what stays, with every class, and the same from its file."""
    given = config(decoder, encoder)
    found = pruned(given)
    write_model(tmp_path / "model.pt", found.network, given)

    opened = open_model(tmp_path / "model.pt")

    share = model.parameter_count(found.network) / model.parameter_count(network(given))
    logits = found.network.coarse(images())[0]
    assert 0.3 < share < 0.5
    assert logits.shape[1] == 3
    assert torch.equal(opened.logits(images()), logits)
    assert opened.network.pruning == found.network.pruning


@pytest.mark.parametrize("decoder", ["ocr", "fcn"])
def test_it_is_trained_on_and_its_model_opens(decoder: str, tmp_path: Path, scenes: Data) -> None:
    """A config that begins with its weights trains exactly that network, auxiliary head and all."""
    given = config(decoder, "resnet18", weights="pruned.pt")
    found = pruned(config(decoder, "resnet18"))
    write_model(tmp_path / "pruned.pt", found.network, given)
    session = samples.Reports()

    outcome = train(given, replace(scenes, roots=(tmp_path,)), session, folder=tmp_path / "fine")

    opened = open_model(tmp_path / "fine" / "model.pt")
    before = open_model(tmp_path / "pruned.pt")
    assert model.parameter_count(opened.network) == model.parameter_count(before.network)
    assert opened.network.pruning == before.network.pruning
    assert outcome.provenance["weights"]["sha256"] == before.sha256
    assert outcome.provenance["weights"]["missing"] == 0
    assert session.reports[-1].metrics["miou"] >= 0
    assert not torch.equal(opened.logits(images()), before.logits(images()))


def test_channels_that_are_zero_go_first_and_change_nothing() -> None:
    """What a network does not use is taken, and what is left answers as before."""
    whole = network(config("fcn", "resnet18"))
    for head in ("decoder.head", "decoder.aux"):
        convolution: Any = whole.get_submodule(f"{head}.0")
        norm: Any = whole.get_submodule(f"{head}.1")
        dead = list(range(1, norm.num_features, 4))  # a quarter of them
        for tensor in (convolution.weight, norm.weight, norm.bias):
            tensor.data[dead] = 0

    found = prune(whole, PruningPlan(0.25, layers={"encoder": 0.0}), classes=3).network

    assert model.parameter_count(found) < model.parameter_count(whole)
    torch.testing.assert_close(found.coarse(images())[0], whole.coarse(images())[0])


def test_layers_may_have_a_share_of_their_own() -> None:
    """A part that is named keeps its channels, or loses others."""
    given = config("fcn", "resnet18")
    found = pruned(given, 0.5, layers={"encoder": 0.0})
    before, after = network(given).encoder, found.network.encoder
    assert model.parameter_count(before) == model.parameter_count(after)
    assert after.pyramid == before.pyramid


def test_its_encoder_says_what_channels_it_has_now() -> None:
    """A teacher's features are matched to them."""
    found = pruned(config("fcn", "resnet18"), 0.5)
    features = found.network.encoder(images())
    assert found.network.encoder.pyramid.channels == tuple(each.shape[1] for each in features)


def test_ranked_together_layers_lose_different_shares() -> None:
    """A global ratio takes channels where they matter least."""
    each, together = (
        pruned(config("fcn", "resnet18"), 0.4, scope=scope).network.state_dict()
        for scope in ("layer", "global")
    )
    assert {name: value.shape for name, value in each.items()} != {
        name: value.shape for name, value in together.items()
    }


def test_what_stays_whole_is_named() -> None:
    """The classifiers, and what scales the softmax of OCR's attention."""
    kept = pruned(config("ocr", "resnet18")).kept
    assert set(kept) == {
        "decoder.regions.4",
        "decoder.attention.query.3",
        "decoder.attention.key.3",
        "decoder.head",
    }


@pytest.mark.parametrize(
    ("decoder", "encoder", "layer"),
    [
        ("manet", "resnet18", r"decoder\.decoder\.center \(PABBlock\)"),
        ("reseg", "resnet18", r"decoder\.sweeps\.0 \(ReNet\)"),
        ("deeplabv3plus", "convnext_atto", r"encoder\.net\.stem_1 \(LayerNorm2d\)"),
    ],
)
def test_a_layer_that_cannot_be_followed_is_named(decoder: str, encoder: str, layer: str) -> None:
    """Attention over positions, recurrence, and norms with channels last."""
    with pytest.raises(TrainingError, match=f"cannot be pruned: its layer {layer}"):
        pruned(config(decoder, encoder))


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_a_ratio_that_is_no_share_is_refused(ratio: float) -> None:
    """More than nothing and less than everything."""
    with pytest.raises(InvalidInput, match=r"--ratio: .*more than 0 and less than 1, not"):
        pruned(config(), ratio)


def test_a_part_that_is_not_there_is_refused() -> None:
    """Names are those of the network's modules."""
    with pytest.raises(InvalidInput, match=r"--layer encode: is not a part .*parts are encoder"):
        pruned(config(), 0.5, layers={"encode": 0.5})


def test_a_ratio_that_takes_nothing_is_refused() -> None:
    """A network that came out as it went in is not a result."""
    with pytest.raises(TrainingError, match=r"larger --ratio"):
        pruned(config(), 0.1, layers={"encoder": 0.0, "decoder": 0.0})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setitem(__import__("sys").modules, "torch_pruning", None)
    with pytest.raises(PackageMissing, match=r"torch-pruning.*segtune\[export\]"):
        pruned(config())


def test_it_belongs_to_its_classes(tmp_path: Path, scenes: Data) -> None:
    """Weights of a pruned network of other classes are refused."""
    given = config()
    write_model(tmp_path / "pruned.pt", pruned(given).network, given)
    dataset = samples.synthetic(classes=("sky", "road"))
    other = config(weights="pruned.pt").model_copy(update={"dataset": dataset})
    with pytest.raises(TrainingError, match=r"pruned network for classes and channels 3 and 3"):
        model.build(other, mean=(0.0,) * 3, std=(1.0,) * 3, roots=(tmp_path,))


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    """Tensors larger than those of the config are not what pruning leaves."""
    given = config("fcn", "resnet18")
    write_model(tmp_path / "pruned.pt", pruned(given).network, given)
    body = torch.load(tmp_path / "pruned.pt", weights_only=True)
    name = next(name for name in body["model"] if name.endswith("conv1.weight"))
    body["model"][name] = torch.zeros(900, 3, 7, 7)
    torch.save(body, tmp_path / "pruned.pt")
    with pytest.raises(TrainingError, match=rf"the file's {name} is \(900, 3, 7, 7\)"):
        open_model(tmp_path / "pruned.pt")


def test_shapes_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    """A damaged file gives a message, not a traceback."""
    given = config("fcn", "resnet18")
    write_model(tmp_path / "pruned.pt", pruned(given).network, given)
    body = torch.load(tmp_path / "pruned.pt", weights_only=True)
    name = next(name for name in body["model"] if name.endswith("layer2.0.conv1.weight"))
    body["model"][name] = body["model"][name][:, :3]
    torch.save(body, tmp_path / "pruned.pt")
    with pytest.raises(TrainingError, match="cannot be computed"):
        open_model(tmp_path / "pruned.pt")
