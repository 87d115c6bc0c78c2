"""Object-contextual representations (Yuan, Chen and Wang 2020), for the decoders built on them."""

from functools import partial

from torch import Tensor, nn

from tuner.training.network.layers import conv_bn_relu


def region_weights(regions: Tensor) -> Tensor:
    """How much each position counts for each region, N×K×HW: rows add up to 1."""
    return regions.flatten(2).float().softmax(dim=2)


def gather(pixels: Tensor, regions: Tensor) -> Tensor:
    """Features of each region, N×C×K×1: means of `pixels` weighed by a softmax over positions."""
    # In float32 under autocast: a softmax over all H·W positions has tiny terms.
    weights = region_weights(regions).to(pixels.dtype)  # N×K×HW
    objects = weights @ pixels.flatten(2).transpose(1, 2)  # N×K×HW · N×HW×C = N×K×C
    return objects.transpose(1, 2).unsqueeze(3)  # N×C×K×1, an image for 1×1 convolutions


class ObjectAttention(nn.Module):
    """Each pixel reads from the regions that it resembles; convolutions may have a `bias`."""

    def __init__(self, channels: int, key: int, *, bias: bool = False) -> None:
        super().__init__()
        layer = partial(conv_bn_relu, bias=bias)
        self.query = nn.Sequential(*layer(channels, key), *layer(key, key))
        self.key = nn.Sequential(*layer(channels, key), *layer(key, key))
        self.value = layer(channels, key)
        self.up = layer(key, channels)

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """Context of N×C×H×W pixels from N×C×K×1 regions."""
        weights = self.relation(pixels, objects)
        value = self.value(objects).flatten(2).transpose(1, 2)  # N×K×key
        context = weights.to(value.dtype) @ value
        context = context.transpose(1, 2).unflatten(2, pixels.shape[-2:])  # N×key×H×W
        up: Tensor = self.up(context)
        return up

    def relation(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """How much each pixel reads from each region, N×HW×K: rows add up to 1."""
        query = self.query(pixels).flatten(2).transpose(1, 2)  # N×HW×key
        key = self.key(objects).flatten(2)  # N×key×K
        similarity = (query @ key).float() * key.shape[1] ** -0.5  # N×HW×K, scaled as in attention
        shares: Tensor = similarity.softmax(dim=2)
        return shares
