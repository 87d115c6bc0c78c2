"""Attribution against computations by hand on a linear network, and its laws on real ones."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.delivery.models import write_model
from tests.training import samples
from tuner.configs import catalog
from tuner.configs.resolve import resolve
from tuner.delivery.attribution import (
    METHODS,
    AttributionMethod,
    AttributionSettings,
    attribution,
    classifier,
)
from tuner.delivery.explained import Target, choose, parse_region, scaled
from tuner.delivery.object_regions import object_regions
from tuner.delivery.trained import TrainedModel, open_model
from tuner.errors import InvalidInput, PackageMissing, TrainingError
from tuner.spec.config import Recipe
from tuner.training.network import model as networks
from tuner.training.network.model import SegmentationModel

HEIGHT, WIDTH, CLASSES = 8, 12, 2
MEAN, STD = 100.0, 50.0


class _Same(nn.Module):
    """An encoder whose only feature map is its input."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images]


class _Linear(nn.Module):
    """A decoder of one convolution, 3×3 with weights drawn once."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, CLASSES, 3, padding=1)
        torch.manual_seed(0)
        nn.init.normal_(self.head.weight)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, None]:
        return self.head(features[0]), None


@pytest.fixture(scope="module")
def linear() -> Any:
    """Give a model whose logits are linear in its pixels."""
    encoder: Any = _Same()
    network = SegmentationModel(encoder, _Linear(), mean=(MEAN,) * 3, std=(STD,) * 3)
    network.eval().requires_grad_(False)
    return SimpleNamespace(network=network, device="cpu")


@pytest.fixture(scope="module")
def image() -> Tensor:
    """Give an image of noise."""
    return torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)) * 255


def window(top: int, left: int, size: int = 3) -> Target:
    """The second class at a square of pixels."""
    pixels = np.zeros((HEIGHT, WIDTH), dtype=bool)
    pixels[top : top + size, left : left + size] = True
    return Target(1, "car", pixels)


def gradient_by_hand(network: Any, target: Target) -> np.ndarray:
    """Weight of each value of the image, 3×H×W: the convolution turned round, pixel by pixel."""
    kernel = network.decoder.head.weight[target.index].numpy() / STD
    found = np.zeros((3, HEIGHT, WIDTH))
    for top, left in zip(*np.nonzero(target.pixels), strict=True):
        for down in range(3):
            for across in range(3):
                y, x = top + down - 1, left + across - 1
                if 0 <= y < HEIGHT and 0 <= x < WIDTH:
                    found[:, y, x] += kernel[:, down, across] / target.pixels.sum()
    return found


def test_integrated_gradients_of_a_linear_model_are_weight_times_difference(
    linear: Any, image: Tensor
) -> None:
    """Each pixel counts its weight by its distance from the mean colour, over the channels."""
    target = window(2, 3)

    found = attribution(linear, image, target)

    expected = (gradient_by_hand(linear.network, target) * (image[0].numpy() - MEAN)).sum(axis=0)
    assert np.allclose(found.values, expected, atol=1e-4)
    assert found.gap == pytest.approx(0, abs=1e-3)


def test_occlusion_is_how_much_the_score_falls(linear: Any, image: Tensor) -> None:
    """Windows that do not overlap count the sum of what they cover, each of its pixels alike."""
    target = window(1, 2)
    settings = AttributionSettings(method="occlusion", window=2)

    found = attribution(linear, image, target, settings)

    shares = (gradient_by_hand(linear.network, target) * (image[0].numpy() - MEAN)).sum(axis=0)
    sums, counts = np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))
    for top in range(HEIGHT - 1):
        for left in range(WIDTH - 1):
            part = np.s_[top : top + 2, left : left + 2]
            sums[part] += shares[part].sum()
            counts[part] += 1
    assert np.allclose(found.values, sums / counts, atol=1e-4)
    assert "2×2 pixels" in found.how


def test_grad_cam_weighs_each_channel_by_its_mean_gradient(linear: Any, image: Tensor) -> None:
    """The sum over channels of mean gradient times feature, where it speaks for the class."""
    target = window(2, 3)

    found = attribution(linear, image, target, AttributionSettings(method="grad-cam"))

    weights = gradient_by_hand(linear.network, target).mean(axis=(1, 2)) * STD
    features = (image[0].numpy() - MEAN) / STD
    expected = np.maximum((weights[:, None, None] * features).sum(axis=0), 0)
    assert np.allclose(found.values, expected, atol=1e-5)
    assert found.gap is None


def test_the_score_is_the_mean_logit(linear: Any, image: Tensor) -> None:
    """Over the target's pixels, of its class."""
    target = window(0, 0)
    logits = linear.network.coarse(image)[0][0, 1].numpy()
    for method in METHODS:
        found = attribution(linear, image, target, AttributionSettings(method=method))
        assert found.score == pytest.approx(logits[target.pixels].mean(), abs=1e-5)


@pytest.mark.parametrize("size", [0, 9])
def test_a_window_that_does_not_fit_is_refused(linear: Any, image: Tensor, size: int) -> None:
    """The message says how large the image is; 0 stands for no window at all."""
    settings = AttributionSettings(method="occlusion", window=size or -1)
    with pytest.raises(InvalidInput, match="shorter side has 8"):
        attribution(linear, image, window(0, 0), settings)


def test_a_missing_captum_is_named_with_what_installs_it(
    linear: Any, image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is a command to run."""
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(PackageMissing, match=r"pip install 'segtune\[export\]'"):
        attribution(linear, image, window(0, 0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Give the smallest network, opened from its file."""
    return open_model(write_model(tmp_path_factory.mktemp("model") / "model.pt"))


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """Give an image of the size that the network is for."""
    return torch.rand(1, 3, *samples.SIZE, generator=torch.Generator().manual_seed(2)) * 255


def test_the_shares_of_a_network_add_up(trained: TrainedModel) -> None:
    """Steps of the integral are doubled until what is missing is small, and the number is said."""
    faint = 120 + 8 * torch.randn(1, 3, *samples.SIZE, generator=torch.Generator().manual_seed(2))
    target = Target(1, "road", np.ones(samples.SIZE, dtype=bool))

    found = attribution(trained, faint, target)

    assert found.baseline is not None
    assert found.gap is not None
    assert abs(found.gap) <= 0.05 * abs(found.score - found.baseline)
    few = attribution(trained, faint, target, AttributionSettings(steps=2))
    assert few.how == "Integrated Gradients, 2 steps from the mean colour"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_number_for_each_pixel(
    trained: TrainedModel, scene: Tensor, method: AttributionMethod
) -> None:
    """At the image's size, the same every time, and the network is left as it was."""
    pixels = np.zeros(samples.SIZE, dtype=bool)
    pixels[4:20, 4:20] = True
    settings = AttributionSettings(method=method, steps=4, window=16)
    first, second = (
        attribution(trained, scene, Target(1, "road", pixels), settings) for _ in range(2)
    )
    assert first.values.shape == samples.SIZE
    assert np.isfinite(first.values).all()
    assert np.array_equal(first.values, second.values)
    assert not any(part._forward_hooks for part in trained.network.modules())


DECODERS = list(catalog.components("decoder"))


def network_of(decoder: str) -> SegmentationModel:
    """A small network with that decoder."""
    model: dict[str, Any] = {"decoder": decoder, "encoder": "resnet18"}
    recipe = Recipe.model_validate({"model": model})
    config = resolve(recipe, samples.synthetic(size=(64, 64)), {})
    return networks.build(config, mean=(120.0,) * 3, std=(60.0,) * 3).eval()


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_last_feature_map_of_every_decoder_is_found(decoder: str) -> None:
    """It is what the logits are made of: their class's own weights are the only ones that count."""
    network = network_of(decoder)
    image = torch.rand(1, 3, 64, 64) * 255
    layer = classifier(network, image)
    assert isinstance(layer, nn.Conv2d)
    assert layer.out_channels == len(samples.CLASSES)
    with torch.no_grad():
        before = network.coarse(image)[0]
        layer.weight[0] += 1.0
        after = network.coarse(image)[0]
    assert not torch.equal(before[:, 0], after[:, 0])
    if layer.kernel_size == (1, 1):
        assert torch.equal(before[:, 1:], after[:, 1:])


@pytest.mark.parametrize("decoder", ["ocr", "asp_ocr"])
def test_attention_to_object_regions_adds_up_to_one(decoder: str, tmp_path: Path) -> None:
    """Over positions for a region, over classes for a pixel; and it is what the network uses."""
    network = network_of(decoder)
    opened: Any = SimpleNamespace(
        network=network,
        device="cpu",
        config=SimpleNamespace(model=SimpleNamespace(decoder=decoder)),
    )
    image = torch.rand(1, 3, 64, 64) * 255

    found = object_regions(opened, image)

    assert np.allclose(found.regions.sum(axis=(1, 2)), 1, atol=1e-4)
    assert np.allclose(found.relation.sum(axis=0), 1, atol=1e-4)
    attention: Any = network.decoder.attention
    given: list[Tensor] = []
    attention.value.register_forward_hook(lambda module, seen, value: given.append(value))
    attention.up.register_forward_pre_hook(lambda module, seen: given.append(seen[0]))
    with torch.no_grad():
        network.coarse(image)
    value, context = given  # 1×key×K×1, 1×key×h×w
    by_hand = np.einsum("vk,khw->vhw", value[0, :, :, 0].numpy(), found.relation)
    assert np.allclose(by_hand, context[0].numpy(), atol=1e-4)


def test_a_decoder_without_object_regions_says_so(trained: TrainedModel, scene: Tensor) -> None:
    """The decoders that have them are named."""
    with pytest.raises(TrainingError, match="deeplabv3plus has no object regions; ocr and asp_ocr"):
        object_regions(trained, scene)


PREDICTED = np.array([[0, 0, 1], [0, 0, 1]])


def test_without_a_class_the_one_that_is_predicted_most_is_meant() -> None:
    """In the region, if there is one."""
    assert choose(PREDICTED, samples.CLASSES).name == "sky"
    found = choose(PREDICTED, samples.CLASSES, region=(2, 0, 1, 2))
    assert (found.name, found.pixels.sum()) == ("road", 2)


def test_a_class_is_meant_where_it_is_predicted() -> None:
    """Its predicted pixels, or all of a region."""
    assert choose(PREDICTED, samples.CLASSES, name="road").pixels.tolist() == [[0, 0, 1]] * 2
    found = choose(PREDICTED, samples.CLASSES, name="car", region=(0, 0, 2, 1))
    assert (found.index, found.pixels.sum()) == (2, 2)


def test_an_unknown_class_gets_the_nearest_name() -> None:
    """And one that is predicted nowhere gets those that are."""
    with pytest.raises(InvalidInput, match="no class 'rode'; did you mean 'road'"):
        choose(PREDICTED, samples.CLASSES, name="rode")
    with pytest.raises(InvalidInput, match=r"predicted as 'car'; predicted are: sky 67 %, road 33"):
        choose(PREDICTED, samples.CLASSES, name="car")


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,x", "1,2,3,4,5", "1.5,2,3,4"])
def test_a_region_that_is_not_four_numbers_is_refused(text: str) -> None:
    """The message shows how one is written."""
    with pytest.raises(InvalidInput, match="x,y,w,h"):
        parse_region(text)


@pytest.mark.parametrize(
    "region", [(0, 0, 0, 5), (-1, 0, 5, 5), (90, 0, 11, 5), (0, 45, 5, 6), (0, 0, 5, -1)]
)
def test_a_region_outside_of_the_image_is_refused(region: tuple[int, int, int, int]) -> None:
    """The message says how large the image is."""
    with pytest.raises(InvalidInput, match="image of 100×50 pixels"):
        scaled(region, (50, 100), (25, 50))


def test_a_region_is_scaled_with_the_image() -> None:
    """Half the size, half the numbers; and never less than a pixel."""
    assert scaled(parse_region("10, 20,40,30"), (50, 100), (25, 50)) == (5, 10, 20, 15)
    assert scaled((99, 49, 1, 1), (50, 100), (5, 10)) == (9, 4, 1, 1)
