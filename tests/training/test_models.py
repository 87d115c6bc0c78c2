"""Every decoder on every encoder family: what the catalog lets through can be built and runs."""

from math import ceil

import pytest
import torch
from torch import Tensor, nn

from tests.training.networks import place_of
from tuner.configs import catalog
from tuner.configs.resolve import resolve
from tuner.configs.traits import DecoderTraits, EncoderTraits
from tuner.errors import InvalidSpec
from tuner.spec.config import DatasetConfig, Recipe
from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import MeanPool
from tuner.training.network.model import parameter_count

FAMILIES = (
    "hrnet_w18_small",
    "resnet18",
    "mobilenet_v2",
    "efficientnet_b0",
    "convnext_atto",
    "mit_b0",
    "tu-regnety_002",
)
SIZE = (72, 104)  # as 360×480, no multiple of 16; and the recurrent sweeps stay short


@pytest.mark.parametrize("name", FAMILIES)
def test_every_admitted_pair_gives_logits_at_odd_sizes(name: str) -> None:
    """At sizes that 16 does not divide, any stride that both declare gives logits."""
    for stride in catalog.traits(EncoderTraits, name).output_strides:
        with torch.no_grad(), torch.device(place_of(name)):
            encoder = catalog.load("encoder", name).build(name, stride, False, 3, 2).eval()
            features = [feature.to("meta") for feature in encoder(torch.empty(1, 3, *SIZE))]
        with torch.device("meta"):
            for decoder in catalog.names("decoder"):
                if stride in catalog.traits(DecoderTraits, decoder).output_strides:
                    assert_logits(decoder, encoder.pyramid, features)


def assert_logits(decoder: str, whole: Pyramid, features: list[Tensor]) -> None:
    """The decoder gives a channel per class, between the coarsest stride and the image's own."""
    reads_half = catalog.traits(DecoderTraits, decoder).finest_stride == 2
    levels = len(whole.strides) if reads_half else 4
    pyramid = Pyramid(whole.channels[-levels:], whole.strides[-levels:], whole.output_stride)
    logits, _ = catalog.load("decoder", decoder).build(pyramid, 11).eval()(features[-levels:])
    assert logits.shape[:2] == (1, 11), decoder
    for size, found in zip(SIZE, logits.shape[2:], strict=True):
        possible = {ceil(size / stride) for stride in (1, *whole.strides)}
        assert found in possible, decoder


@pytest.mark.parametrize(
    ("encoder", "decoder", "classes", "millions"),
    [
        ("hrnet_w32", "ocr", 19, 32.95),
        ("resnet101", "ocr", 19, 57.86),
        ("resnet101", "deeplabv3", 21, 61.00),
        ("resnet50", "fcn", 21, 35.32),
        ("resnet101", "fcn", 21, 54.31),
    ],
)
def test_parameter_counts_are_the_published_ones(
    encoder: str, decoder: str, classes: int, millions: float
) -> None:
    """Sizes agree with the authors' code, torchvision and SMP to the second decimal."""
    with torch.device("meta"):
        stride = catalog.traits(EncoderTraits, encoder).output_strides[0]
        built = catalog.load("encoder", encoder).build(encoder, stride, False)
        head = catalog.load("decoder", decoder).build(built.pyramid, classes)
    count = parameter_count(nn.ModuleList([built, head]))
    assert count / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize(
    ("decoder", "encoder", "reason"),
    [
        ("deeplabv3", "mit_b0", "'mit_b0' gives output stride 32, but .* needs 8 or 16"),
        ("deeplabv3plus", "tu-pvt_v2_b0", "gives output stride 32, but .* needs 16 or 8"),
        ("unet", "tu-vit_tiny_patch16_224", "no features at strides 4 to 32"),
        ("unet", "tu-resnet5", "did you mean 'tu-resnet"),
    ],
)
def test_a_pair_that_cannot_work_is_refused_with_the_reason(
    decoder: str, encoder: str, reason: str
) -> None:
    """Submission says what the encoder gives and what the decoder needs."""
    base = Recipe.model_validate({"model": {"decoder": decoder, "encoder": encoder}})
    dataset = DatasetConfig(format="synthetic", classes=("a", "b"), size=(32, 32))
    with pytest.raises(InvalidSpec, match=reason):
        resolve(base, dataset, {})


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_mean_pool_equals_adaptive_pooling(bins: int) -> None:
    """Two matrix products give torch's bins, overlapping ones included."""
    features = torch.randn(2, 3, 7, 11)
    torch.testing.assert_close(
        MeanPool(bins)(features), nn.functional.adaptive_avg_pool2d(features, bins)
    )
