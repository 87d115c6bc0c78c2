"""VGG as an encoder: dilated without another value, with three decoders, from published files."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from tests.training.networks import randomise
from tests.training.samples import config
from tuner.training.encoders import any_timm
from tuner.training.network import model, weights

ZERO, ONE = (0.0,) * 3, (1.0,) * 3


@pytest.mark.parametrize(("name", "stride"), [("tu-vgg11", 16), ("tu-vgg11_bn", 8)])
@torch.no_grad()
def test_dilation_keeps_every_value_and_adds_those_between(name: str, stride: int) -> None:
    """At every second position, or fourth, the undilated network's features, borders included."""
    torch.manual_seed(0)
    coarse = any_timm.build(name, 32, False).double().eval()
    randomise(coarse)
    dense = any_timm.build(name, stride, False).double().eval()
    dense.load_state_dict(coarse.state_dict())
    images = torch.randn(1, 3, 32, 64, dtype=torch.float64)
    plain = zip(coarse(images), coarse.pyramid.strides, strict=True)
    for (expected, far), found, near in zip(
        plain, dense(images), dense.pyramid.strides, strict=True
    ):
        step = far // near
        torch.testing.assert_close(found[..., ::step, ::step], expected)
    assert dense.pyramid.strides == tuple(min(each, stride) for each in (4, 8, 16, 32))


@pytest.mark.parametrize(
    ("decoder", "stride"),
    [
        ("deeplabv3plus", None),
        ("deeplabv3plus", 8),
        ("fcn", None),
        ("unet", None),
    ],
)
def test_vgg_carries_a_decoder(decoder: str, stride: int | None) -> None:
    """Logits at the images' size, of any size, and a gradient that reaches the first layer."""
    wanted = config(
        {
            "model.decoder": decoder,
            "model.encoder": "tu-vgg11_bn",
            "model.output_stride": stride,
        }
    )
    built = model.build(wanted, mean=ZERO, std=ONE)
    logits, _ = built(torch.randn(2, 3, 41, 53))
    assert logits.shape == (2, 3, 41, 53)
    logits.square().mean().backward()
    stem = next(built.encoder.parameters()).grad
    assert stem is not None
    assert torch.isfinite(stem).all()
    assert stem.abs().sum() > 0


@pytest.mark.parametrize("decoder", ["deeplabv3plus", "fcn", "unet"])
@torch.no_grad()
def test_a_file_of_timm_loads_at_any_stride(decoder: str, tmp_path: Path) -> None:
    """All of the convolutional part; what VGG classifies with has no place here."""
    published: Any = timm.create_model("vgg16_bn", num_classes=5, mlp_ratio=0.001)
    randomise(published)
    torch.save(published.state_dict(), tmp_path / "vgg16_bn.pt")
    params = {"model.decoder": decoder, "model.encoder": "tu-vgg16_bn"}
    built = model.build(config(params), mean=ZERO, std=ONE).eval()
    found = weights.load(built, tmp_path / "vgg16_bn.pt")
    assert not [name for name in found.missing if name.startswith("encoder.")]
    images = torch.randn(1, 3, 32, 32)
    expected = published.eval().forward_features(images)
    last = built.encoder(images)[-1]
    step = last.shape[-1] // expected.shape[-1]
    torch.testing.assert_close(last[..., ::step, ::step], expected, rtol=1e-4, atol=1e-5)
