"""Whole networks against torchvision, SMP and the papers' equations, with equal weights."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation import fcn_resnet50

from tests.training.networks import randomise, settle, take_over
from tests.training.samples import config
from tuner.training import evaluate
from tuner.training.decoders import asp_ocr, fcn, ocr, unet
from tuner.training.encoders import hrnet, resnet
from tuner.training.network import model
from tuner.training.network.encoder import Pyramid

State = Mapping[str, Tensor]
Up = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def test_fcn_equals_torchvision() -> None:
    """FCN-R50 at output stride 8 gives torchvision's logits and auxiliary logits."""
    torch.manual_seed(0)
    theirs = fcn_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    randomise(theirs)
    encoder = resnet.build("resnet50", 8, False)
    ours = nn.ModuleList([encoder, fcn.build(encoder.pyramid, 21)])
    take_over(ours, theirs)
    images = torch.randn(1, 3, 41, 49)
    expected = theirs.eval()(images)
    ours.eval()
    ours[1].training = True  # gives auxiliary logits; batch norm and dropout stay as they are
    for coarse, name in zip(ours[1](encoder(images)), ("out", "aux"), strict=True):
        logits = functional.interpolate(coarse, size=(41, 49), mode="bilinear")
        assert (logits - expected[name]).abs().max() <= 1e-5 * expected[name].abs().max()


@torch.no_grad()
def test_unet_equals_smp() -> None:
    """A U-Net on ResNet-18 gives the logits of SMP's, where SMP takes the size at all."""
    torch.manual_seed(0)
    theirs = smp.Unet("tu-resnet18", encoder_weights=None, classes=5)
    randomise(theirs)
    encoder = resnet.build("resnet18", 32, False, 3, 2)
    ours = nn.ModuleList([encoder, unet.build(encoder.pyramid, 5)])
    take_over(ours, theirs)
    images = torch.randn(1, 3, 64, 32)
    expected = theirs.eval()(images)
    logits, _ = ours.eval()[1](encoder(images))
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("aligned", [False, True])
@torch.no_grad()
def test_ocrnet_on_hrnet_w18_equals_the_published_definition(aligned: bool) -> None:
    """Encoder and head equal the papers' equations, written below over a plain state dict.

    The authors resize with aligned corners, in the encoder as in the head; others without.
    """
    torch.manual_seed(0)
    up = partial(resized, aligned=aligned)
    # In float64, so that only the head's softmaxes, which are float32 by design, can round.
    encoder = hrnet.build("hrnet_w18", 4, False, align_corners=aligned).double()
    head = ocr.build(encoder.pyramid, 19, align_corners=aligned).double()
    images = torch.randn(2, 3, 37, 45, dtype=torch.float64)
    features = settle(encoder, images)
    branches = hrnet_by_equations(encoder.net.state_dict(), images, up)
    for feature, expected in zip(features, branches, strict=True):
        assert (feature - expected).abs().max() <= 1e-5 * expected.abs().max()
    found = settle(head, features)
    for logits, expected in zip(
        found, ocr_by_equations(head.state_dict(), branches, up), strict=True
    ):
        assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("decoder", ["ocr", "fcn"])
@torch.no_grad()
def test_one_option_aligns_the_whole_network(decoder: str, aligned: bool) -> None:
    """Encoder, branches side by side, logits of the image and logits of the label."""
    params = {"model.decoder": decoder, "model.encoder": "hrnet_w18_small"}
    wanted = config({**params, "model.align_corners": aligned})
    built = model.build(wanted, mean=(0,) * 3, std=(1,) * 3).eval()
    images = torch.randn(1, 3, 37, 45)
    features = built.encoder(images)
    again = hrnet.build("hrnet_w18_small", 4, False, align_corners=aligned).eval()
    again.load_state_dict(built.encoder.state_dict())
    for feature, expected in zip(features, again(images), strict=True):
        assert torch.equal(feature, expected)
    up = partial(resized, aligned=aligned)
    branches = torch.cat([up(feature, features[0]) for feature in features], dim=1)
    first = "regions.0" if decoder == "ocr" else "head.0"
    seen: list[Tensor] = []
    part = built.decoder.get_submodule(first)
    part.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    coarse, _ = built.coarse(images)
    torch.testing.assert_close(seen[0], branches)
    torch.testing.assert_close(built(images)[0], up(coarse, images))
    label = up(coarse, torch.empty(90, 70)).argmax(dim=1)[0].to(torch.uint8)
    found = evaluate.count(coarse, label, 3, align_corners=built.align_corners).view(3, 3)
    assert int(found.sum()) == int(found.diagonal().sum()) == 90 * 70


@pytest.mark.parametrize("rates", [None, (1, 3), (2, 3, 5, 7)])
@torch.no_grad()
def test_asp_ocr_equals_the_published_definition(rates: tuple[int, ...] | None) -> None:
    """Object context, a 1×1 and dilated 3×3s side by side, as openseg's code has them."""
    torch.manual_seed(0)
    pyramid = Pyramid((4, 6, 10, 12), (4, 8, 8, 8), 8)
    options: dict[str, Any] = {} if rates is None else {"atrous_rates": rates}
    head = asp_ocr.build(pyramid, 5, mid_channels=16, key_channels=8, **options).double()
    for parameter in head.parameters():  # biases and scales too
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    shallow, deep = (torch.randn(2, width, 9, 13, dtype=torch.float64) for width in (10, 12))
    found = settle(head, [deep, deep, shallow, deep])
    expected = asp_ocr_by_equations(head.state_dict(), shallow, deep, rates or (12, 24, 36))
    for logits, wanted in zip(found, expected, strict=True):
        assert (logits - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def norm(state: State, name: str, x: Tensor) -> Tensor:
    """Batch norm by its definition, with running statistics."""
    mean, var, scale, shift = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def conv(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolution that keeps the size but for its stride."""
    weight = state[f"{name}.weight"]
    bias = state.get(f"{name}.bias")
    return functional.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)


def pair(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolution and norm that stand as 0 and 1 in a sequence."""
    return norm(state, f"{name}.1", conv(state, f"{name}.0", x, stride))


def residual(state: State, name: str, x: Tensor) -> Tensor:
    """A residual block of two 3×3 or of 1×1, 3×3, 1×1 convolutions."""
    last = 3 if f"{name}.conv3.weight" in state else 2
    y = x
    for index in range(1, last + 1):
        y = norm(state, f"{name}.bn{index}", conv(state, f"{name}.conv{index}", y))
        y = y.relu() if index < last else y
    if f"{name}.downsample.0.weight" in state:
        x = pair(state, f"{name}.downsample", x)
    return (x + y).relu()


def resized(x: Tensor, like: Tensor, *, aligned: bool) -> Tensor:
    """Bilinear resizing to the size of another map."""
    size = like.shape[-2:]
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=aligned)


def exchange(state: State, name: str, xs: list[Tensor], up: Up) -> list[Tensor]:
    """Every branch gets the sum of all, resized: down by strided 3×3s, up by 1×1 and bilinearly."""
    sums = []
    for target in range(len(xs)):
        total = torch.zeros(())
        for source in range(len(xs)):
            path, x = f"{name}.fuse_layers.{target}.{source}", xs[source]
            if source > target:
                x = up(pair(state, path, x), xs[target])
            for step in range(target - source):
                x = pair(state, f"{path}.{step}", x, stride=2)
                x = x.relu() if step < target - source - 1 else x
            total = total + x
        sums.append(total.relu())
    return sums


def hrnet_by_equations(state: State, images: Tensor, up: Up) -> list[Tensor]:
    """The four branches of HRNetV2-W18 (Wang et al. 2019, section 3)."""
    x = norm(state, "bn1", conv(state, "conv1", images, 2)).relu()
    x = norm(state, "bn2", conv(state, "conv2", x, 2)).relu()
    for block in range(4):
        x = residual(state, f"layer1.{block}", x)
    xs = [pair(state, "transition1.0", x).relu(), pair(state, "transition1.1.0", x, 2).relu()]
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        if stage > 2:
            xs.append(pair(state, f"transition{stage - 1}.{stage - 1}.0", xs[-1], 2).relu())
        for module in range(modules):
            name = f"stage{stage}.{module}"
            for branch in range(stage):
                for block in range(4):
                    xs[branch] = residual(state, f"{name}.branches.{branch}.{block}", xs[branch])
            xs = exchange(state, name, xs, up)
    return xs


def ocr_by_equations(state: State, branches: list[Tensor], up: Up) -> tuple[Tensor, Tensor]:
    """Logits and region logits (Yuan, Chen and Wang 2020, equations 2 to 4)."""
    joined = torch.cat([up(branch, branches[0]) for branch in branches], dim=1)
    regions = conv(state, "regions.3", pair(state, "regions", joined).relu())
    pixels = pair(state, "reduce", joined).relu()
    context = context_by_equations(state, pixels, regions)
    fused = pair(state, "fuse", torch.cat([context, pixels], dim=1)).relu()
    return conv(state, "head", fused), regions


def asp_ocr_by_equations(
    state: State, shallow: Tensor, deep: Tensor, rates: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Logits and region logits; each dilated convolution is a sum of nine shifted 1×1s."""
    regions = conv(state, "regions.4", pair(state, "regions", shallow).relu())
    pixels = pair(state, "reduce", deep).relu()
    parts = [context_by_equations(state, pixels, regions)]
    for index, rate in enumerate((0, *rates)):
        name = f"branches.{index}"
        weight, bias = state[f"{name}.0.weight"], state[f"{name}.0.bias"]
        height, width = deep.shape[-2:]
        wide = functional.pad(deep, (rate,) * 4)
        total = bias[:, None, None].expand(len(deep), -1, height, width)
        for row, column in product(*map(range, weight.shape[-2:])):
            seen = wide[..., row * rate : row * rate + height, column * rate :][..., :width]
            total = total + torch.einsum("oc,nchw->nohw", weight[:, :, row, column], seen)
        parts.append(norm(state, f"{name}.1", total).relu())
    fused = pair(state, "fuse", torch.cat(parts, dim=1)).relu()
    return conv(state, "head", fused), regions


def context_by_equations(state: State, pixels: Tensor, regions: Tensor) -> Tensor:
    """What each pixel reads from the regions."""
    shares = regions.flatten(2).exp() / regions.flatten(2).exp().sum(dim=2, keepdim=True)
    objects = torch.einsum("nki,nci->nck", shares, pixels.flatten(2))[..., None]

    def two(name: str, x: Tensor) -> Tensor:
        first = pair(state, f"attention.{name}", x).relu()
        second = conv(state, f"attention.{name}.3", first)
        return norm(state, f"attention.{name}.4", second).relu()

    query, key = two("query", pixels), two("key", objects)[..., 0]
    value = pair(state, "attention.value", objects).relu()[..., 0]
    alike = torch.einsum("nchw,nck->nkhw", query, key) / query.shape[1] ** 0.5
    relation = alike.exp() / alike.exp().sum(dim=1, keepdim=True)
    context = torch.einsum("nkhw,nck->nchw", relation, value)
    return pair(state, "attention.up", context).relu()
