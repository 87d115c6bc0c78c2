"""What is exported of a network: images in 0 … 255 to logits, or to the number of the class."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn

from tuner.delivery.facts import Facts, Gives
from tuner.spec.config import Size
from tuner.training.network.model import SegmentationModel
from tuner.training.network.resize import resize

_FREE_SIZE = (160, 224)


class Graph(nn.Module):
    """A network for use: one input and one output; mean and std are inside."""

    def __init__(self, network: SegmentationModel, gives: Gives) -> None:
        super().__init__()
        self.network = network
        self._gives = gives
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits N×K×h×w at the decoder's stride, or labels N×H×W of uint8."""
        logits, _ = self.network.coarse(images)
        if self._gives == "logits":
            return logits
        size = (images.shape[-2], images.shape[-1])
        full = resize(logits, size, align_corners=self.network.align_corners)
        return full.argmax(dim=1).to(torch.uint8)


def recorded_on(facts: Facts) -> Tensor:
    """The images that a network is recorded on.

    Where their size is free, it is one at which no feature map has a single row or column, because
    torch takes 0 and 1 for constants, and its sides differ, because equal ones might be taken for
    the same.
    """
    size = _FREE_SIZE if facts.dynamic_size else facts.size
    return sample(facts.channels, size, batch=2 if facts.dynamic_batch else 1)


def sample(channels: int, size: Size, *, batch: int) -> Tensor:
    """Images to record a network with: grey noise of fixed numbers."""
    numbers = torch.Generator().manual_seed(0)
    return torch.rand(batch, channels, *size, generator=numbers) * 255


def dynamic_shapes(batch: bool, size: bool) -> tuple[dict[int, Any]] | None:
    """The axes of the images that may have any length, as `torch.export` is told."""
    free = torch.export.Dim.DYNAMIC
    axes = ({0: free} if batch else {}) | ({2: free, 3: free} if size else {})
    return (axes,) if axes else None


def record(graph: Graph, facts: Facts) -> torch.export.ExportedProgram:
    """The operators of a network, with the axes free that its facts say."""
    images = recorded_on(facts)
    free = dynamic_shapes(facts.dynamic_batch, facts.dynamic_size)
    with recording():
        return torch.export.export(graph, (images,), dynamic_shapes=free, strict=False)


@contextmanager
def recording() -> Iterator[None]:
    """Record without gradients, and without what torch's recorders warn of themselves."""
    with torch.no_grad(), catch_warnings():
        simplefilter("ignore")
        yield
