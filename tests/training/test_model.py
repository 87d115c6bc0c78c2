"""Networks against the papers' sizes, torchvision's numbers and a plain derivation."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_resnet50

from tests.training.networks import randomise, take_over
from tests.training.samples import config
from tuner.configs import catalog
from tuner.errors import TrainingError, WeightsUnavailable
from tuner.training.decoders import deeplabv3, ocr
from tuner.training.decoders._object_context import gather
from tuner.training.encoders import hrnet, resnet
from tuner.training.network import encoder, model
from tuner.training.network.encoder import Pyramid

GREY: dict[str, Any] = {"mean": (127.5,) * 3, "std": (60.0,) * 3}


@pytest.mark.parametrize(
    ("encoder", "decoder", "stride", "classes", "millions"),
    [
        ("hrnet_w18", "ocr", 4, 19, 12.08),
        ("hrnet_w48", "ocr", 4, 19, 70.37),
        ("resnet50", "ocr", 8, 19, 38.87),
        ("resnet50", "deeplabv3", 8, 21, 42.00),
        ("resnet18", "deeplabv3plus", 16, 21, 12.33),
        ("resnet50", "deeplabv3plus", 16, 21, 26.68),
    ],
)
def test_parameter_counts_are_the_published_ones(
    encoder: str, decoder: str, stride: int, classes: int, millions: float
) -> None:
    """Sizes agree with the authors' code, torchvision and SMP to the second decimal."""
    with torch.device("meta"):
        built = catalog.load("encoder", encoder).build(encoder, stride, False)
        head = catalog.load("decoder", decoder).build(built.pyramid, classes)
    count = model.parameter_count(nn.ModuleList([built, head]))
    assert count / 1e6 == pytest.approx(millions, abs=0.006)


@torch.no_grad()
def test_deeplabv3_equals_torchvision() -> None:
    """With the same weights, DeepLabV3-R50 at output stride 8 gives torchvision's logits."""
    torch.manual_seed(0)
    theirs = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    randomise(theirs)
    encoder = resnet.build("resnet50", 8, False)
    ours = nn.ModuleList([encoder, deeplabv3.build(encoder.pyramid, 21)])
    take_over(ours, theirs)
    images = torch.randn(1, 3, 65, 73)
    expected = theirs.eval()(images)["out"]
    ours.eval()
    logits, _ = ours[1](encoder(images))
    logits = nn.functional.interpolate(logits, size=(65, 73), mode="bilinear")
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_region_features_are_weighted_means() -> None:
    """OCR's gather equals the paper's sum over pixels, written out pixel by pixel."""
    pixels, regions = torch.randn(2, 6, 3, 4), torch.randn(2, 5, 3, 4)
    objects = gather(pixels, regions)
    for image in range(2):
        for region in range(5):
            weights = regions[image, region].exp() / regions[image, region].exp().sum()
            expected = (pixels[image] * weights).sum(dim=(1, 2))
            torch.testing.assert_close(objects[image, :, region, 0], expected)


@torch.no_grad()
def test_ocr_equals_a_plain_derivation() -> None:
    """The whole head equals the paper's equations, computed for one pixel at a time."""
    torch.manual_seed(0)
    pyramid = Pyramid((3, 4, 5, 6), (4, 8, 16, 32), 4)
    head: Any = ocr.build(pyramid, 3, mid_channels=8, key_channels=8)
    randomise(head.eval())
    features = [
        torch.randn(1, c, -(-8 // s), -(-12 // s))
        for c, s in zip((3, 4, 5, 6), (1, 2, 4, 8), strict=True)
    ]
    logits, regions = head(features)
    joined = torch.cat(
        [nn.functional.interpolate(f, size=(8, 12), mode="bilinear") for f in features], dim=1
    )
    torch.testing.assert_close(regions, head.regions(joined))
    pixels = head.reduce(joined)
    objects = gather(pixels, regions)
    part = head.attention
    key, value = part.key(objects)[0, :, :, 0], part.value(objects)[0, :, :, 0]
    query = part.query(pixels)[0]
    context = torch.empty(1, 8, 8, 12)
    for row in range(8):
        for column in range(12):
            alike = torch.stack([query[:, row, column] @ key[:, k] for k in range(3)]) / 8**0.5
            share = alike.exp() / alike.exp().sum()
            context[0, :, row, column] = sum(share[k] * value[:, k] for k in range(3))
    expected = head.head(head.fuse(torch.cat([part.up(context), pixels], dim=1)))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_hrnet_fuses_bilinearly() -> None:
    """At multiples of 32 it equals timm's network with its upsampling switched to bilinear."""
    torch.manual_seed(0)
    ours = hrnet.build("hrnet_w18_small", 4, False).eval()
    theirs = timm.create_model(
        "hrnet_w18_small", features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    ).eval()
    theirs.load_state_dict(ours.net.state_dict())
    images = torch.randn(1, 3, 64, 96)
    nearest = theirs(images)
    for part in theirs.modules():
        if isinstance(part, nn.Upsample):
            part.mode, part.align_corners = "bilinear", False
    for mine, other in zip(ours(images), theirs(images), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(nearest[0], ours(images)[0], rtol=1e-2)


@torch.no_grad()
def test_logits_have_the_images_size_at_odd_sizes() -> None:
    """Sizes that no power of two divides go in and come out."""
    built = model.build(config(), **GREY).eval()
    logits, _ = built(torch.zeros(1, 3, 45, 67))
    assert logits.shape == (1, 3, 45, 67)


def weights_of(**params: Any) -> dict[str, Tensor]:
    """State of a freshly built network."""
    return model.build(config(params), **GREY).state_dict()


def test_initial_weights_depend_on_the_seed_alone() -> None:
    """Building twice gives equal weights, whatever the process drew before."""
    torch.manual_seed(1)
    first = weights_of()
    torch.manual_seed(2)
    second = weights_of()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_init_sets_the_scale_of_the_first_weights() -> None:
    """Kaiming's deviation is √(2/fan-in), Xavier's √(2/(fan-in + fan-out))."""
    name = "decoder.merge.1.weight"
    kaiming = weights_of(**{"training.init": "kaiming_normal"})[name]
    xavier = weights_of(**{"training.init": "xavier_uniform"})[name]
    fan_out, fan_in = kaiming.shape[:2]
    assert kaiming.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.25)
    assert xavier.abs().max().item() <= (6 / (fan_in + fan_out)) ** 0.5


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    """An encoder's state dict under an allowed root replaces its initial weights."""
    source = resnet.build("resnet18", 16, False).net.state_dict()
    torch.save(source, tmp_path / "resnet18.pt")
    chosen = {"model.encoder": "resnet18", "model.weights": "resnet18.pt"}
    built = model.build(config(chosen), **GREY, roots=(tmp_path,))
    loaded = built.encoder.net.state_dict()
    assert all(torch.equal(loaded[name], source[name]) for name in source)
    assert built.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    """The message counts and names what does not fit."""
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(TrainingError, match=r"lacks \d+ tensors"):
        model.build(config({"model.weights": "other.pt"}), **GREY, roots=(tmp_path,))


def test_a_weights_file_outside_the_roots_is_refused(tmp_path: Path) -> None:
    """A study cannot make a worker read any file of its machine."""
    outside = tmp_path / "weights.pt"
    torch.save({}, outside)
    (tmp_path / "allowed").mkdir()
    chosen = config({"model.weights": str(outside)})
    with pytest.raises(WeightsUnavailable, match="allowed roots"):
        model.build(chosen, **GREY, roots=(tmp_path / "allowed",))


def test_unreachable_pretrained_weights_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network the error names the model and the ways out."""

    def refuse(*_: Any, **__: Any) -> nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(WeightsUnavailable, match=r"mobilenetv2_100.*offline.*weights: none"):
        model.build(
            config({"model.encoder": "mobilenet_v2", "model.weights": "pretrained"}), **GREY
        )


@pytest.mark.parametrize("encoder", ["resnet18", "hrnet_w18_small", "mit_b0"])
def test_no_network_is_trained_in_place_of_a_published_one(
    encoder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the hub out of reach there is an error: never are the weights random instead."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    given = {"model.decoder": "fcn", "model.encoder": encoder, "model.weights": "pretrained"}
    with pytest.raises(WeightsUnavailable, match=rf"{encoder}.*could not be fetched.*HF_HOME"):
        model.build(config(given), **GREY)


def test_weights_that_nobody_published_are_the_studys_fault() -> None:
    """No other machine has them either."""
    with pytest.raises(TrainingError, match="No pretrained weights exist") as caught:
        encoder.create("ese_vovnet39b_evos", pretrained=True)
    assert not isinstance(caught.value, WeightsUnavailable)
