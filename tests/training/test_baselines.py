"""The plain CNN and the recurrent decoder against what their options say, written out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.training.samples import config
from tuner.training.decoders import cnn, reseg
from tuner.training.network import model
from tuner.training.network.encoder import Pyramid

PYRAMID = Pyramid((3, 4, 5, 6), (4, 8, 16, 32), 32)
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.clamp(min=0),
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "silu": lambda x: x / (1 + (-x).exp()),
}


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.no_grad()
def test_a_cnn_is_the_stack_that_its_options_say(kernel: Any, activation: Any) -> None:
    """Convolutions that keep the size, each followed by its activation, then a classifier."""
    built = cnn.build(
        PYRAMID,
        4,
        mid_channels=8,
        layers=2,
        kernel=kernel,
        dilation=2,
        activation=activation,
        batch_norm=False,
    )
    weights = list(built.double().eval().parameters())
    features = torch.randn(2, 3, 11, 13, dtype=torch.float64)
    x = features
    for index in range(2):
        weight, bias = weights[2 * index : 2 * index + 2]
        assert weight.shape[-2:] == (kernel, kernel)
        x = functional.conv2d(x, weight, bias, padding=kernel - 1, dilation=2)
        x = ACTIVATIONS[activation](x)
    expected = functional.conv2d(x, weights[4], weights[5])
    torch.testing.assert_close(built([features])[0], expected)


@pytest.mark.parametrize(
    ("layers", "kernel", "dilation"), [(1, 3, 1), (2, 3, 1), (2, 5, 1), (1, 7, 3), (3, 3, 2)]
)
def test_a_cnn_sees_as_far_as_its_options_reach(layers: int, kernel: Any, dilation: int) -> None:
    """1 + layers · (kernel - 1) · dilation positions a side have a say in one logit."""
    built = cnn.build(PYRAMID, 2, layers=layers, kernel=kernel, dilation=dilation, dropout=0.0)
    features = torch.randn(1, 3, 41, 41, requires_grad=True)
    built.eval()([features])[0][0, 0, 20, 20].backward()
    assert features.grad is not None
    seen = features.grad.abs().sum(dim=(0, 1)).nonzero()
    reach = layers * (kernel - 1) * dilation
    assert (seen.max(dim=0).values - seen.min(dim=0).values).tolist() == [reach, reach]


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_a_cnn_takes_the_norm_of_the_model(norm: str, kind: type[nn.Module]) -> None:
    """`model.norm` is searched for every decoder alike."""
    params = {"model.decoder": "cnn", "model.norm": norm, "model.layers": 2}
    built = model.build(config(params), mean=(0,) * 3, std=(1,) * 3)
    assert sum(isinstance(part, kind) for part in built.decoder.modules()) == 2


@pytest.mark.parametrize(("cell", "net"), [("gru", nn.GRUCell), ("lstm", nn.LSTMCell)])
@torch.no_grad()
def test_reseg_sweeps_with_the_cell_that_it_is_told(cell: Any, net: Any) -> None:
    """A layer is two cells run over each column, and two over each row of that."""
    built = reseg.build(PYRAMID, 2, hidden=4, layers=1, cell=cell).double()
    features = torch.randn(1, 6, 3, 5, dtype=torch.float64)
    state: dict[str, Tensor] = built.state_dict()

    def sweep(name: str, line: Tensor) -> Tensor:
        """Outputs of both directions along a line of L×C."""
        halves = []
        for direction in ("", "_reverse"):
            one = net(line.shape[1], 4).double()
            one.load_state_dict(
                {key: state[f"sweeps.0.{name}.{key}_l0{direction}"] for key in one.state_dict()}
            )
            carried, outputs = None, []
            for x in line if not direction else line.flip(0):
                carried = one(x[None], carried)
                outputs.append(carried[0] if cell == "lstm" else carried)
            whole = torch.cat(outputs)
            halves.append(whole.flip(0) if direction else whole)
        return torch.cat(halves, dim=1)

    columns = torch.stack([sweep("down", features[0, :, :, x].T) for x in range(5)], dim=1)
    expected = torch.stack([sweep("across", row) for row in columns])
    found = built.get_submodule("sweeps")(features)
    torch.testing.assert_close(found[0].permute(1, 2, 0), expected)
