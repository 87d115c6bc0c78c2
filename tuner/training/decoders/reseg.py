"""ReSeg: recurrent sweeps over the encoder's features (Visin et al. 2016).

Each ReNet layer sweeps a bidirectional network along every column, and another along every row of
what that gave, so that each position has seen the whole image. `cell` is theirs, and the paper's
are GRUs. It upsamples by transposed convolutions; here features of stride 4 are merged instead, as
DeepLabV3+ does.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tuner.training.network.encoder import Pyramid
from tuner.training.network.layers import conv_bn_relu, fcn_head
from tuner.training.network.resize import resize

OUTPUT_STRIDES = (16, 8, 32)
_Recurrent = nn.GRU | nn.LSTM
_CELLS: Mapping[str, type[_Recurrent]] = {"gru": nn.GRU, "lstm": nn.LSTM}


def build(
    pyramid: Pyramid,
    classes: int,
    *,
    hidden: Annotated[int, Field(ge=4, le=1024)] = 100,
    layers: Annotated[int, Field(ge=1, le=16)] = 2,
    low_channels: Annotated[int, Field(ge=4, le=512)] = 48,
    aux: bool = False,
    cell: Literal["gru", "lstm"] = "gru",
) -> nn.Module:
    """The decoder for an encoder's pyramid."""
    inputs = [pyramid.channels[-1], *[2 * hidden] * (layers - 1)]
    sweeps = nn.Sequential(*[_ReNet(_CELLS[cell], width, hidden) for width in inputs])
    return _ReSeg(pyramid, classes, sweeps, widths=(2 * hidden, low_channels), aux=aux)


class _ReSeg(nn.Module):
    def __init__(
        self,
        pyramid: Pyramid,
        classes: int,
        sweeps: nn.Module,
        *,
        widths: tuple[int, int],
        aux: bool,
    ) -> None:
        super().__init__()
        swept, low = widths
        self.sweeps = sweeps
        self.low = conv_bn_relu(pyramid.channels[0], low)
        self.merge = conv_bn_relu(swept + low, swept, kernel=3)
        self.head = nn.Conv2d(swept, classes, 1)
        self.aux = fcn_head(pyramid.channels[-2], classes) if aux else None

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits at stride 4 and auxiliary logits at the third stage's."""
        aux = self.aux(features[-2]) if self.aux is not None and self.training else None
        fine = self.low(features[0])  # N×low×H/4×W/4
        # N×2·hidden×H/4×W/4: both directions of the last sweep.
        coarse = resize(self.sweeps(features[-1]), (fine.shape[-2], fine.shape[-1]))
        return self.head(self.merge(torch.cat([coarse, fine], dim=1))), aux


class _ReNet(nn.Module):
    """One layer of ReNet (Visin et al. 2015): N×C×H×W to N×2·hidden×H×W."""

    def __init__(self, cell: type[_Recurrent], channels: int, hidden: int) -> None:
        super().__init__()
        self.down = cell(channels, hidden, batch_first=True, bidirectional=True)
        self.across = cell(2 * hidden, hidden, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor) -> Tensor:
        """Sweep columns, then rows."""
        columns = _sweep(self.down, features.permute(0, 3, 2, 1))  # N×W×H×C
        rows = _sweep(self.across, columns.transpose(1, 2))  # N×H×W×C
        return rows.permute(0, 3, 1, 2).contiguous()


def _sweep(net: _Recurrent, lines: Tensor) -> Tensor:
    """Run over the third axis of N×lines×length×C, each line on its own."""
    net.flatten_parameters()  # a copy, such as the moving average, loses the layout cuDNN wants
    swept: Tensor = net(lines.flatten(0, 1))[0]  # (N·lines)×length×2·hidden
    return swept.view(lines.shape[0], lines.shape[1], lines.shape[2], -1)
