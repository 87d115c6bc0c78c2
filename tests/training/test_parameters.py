"""Parameter groups: decay, the encoder's rate, and what today's default stays."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.training.samples import config
from tuner.configs import catalog
from tuner.training.optimization.parameters import groups, set_rate


def network() -> nn.Module:
    """A convolution with bias and a norm, as encoder and as decoder."""

    def part() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))

    return nn.ModuleDict({"encoder": part(), "decoder": part()})


def found(**params: Any) -> list[dict[str, Any]]:
    """The groups of that network under these params."""
    drawn = {name.replace("__", "."): value for name, value in params.items()}
    return groups(network(), config(drawn))


def test_by_default_there_is_one_group_in_the_order_of_the_model() -> None:
    """So that an optimizer's state looks as it does without groups."""
    (group,) = found()
    model = network()
    assert [p.shape for p in group["params"]] == [p.shape for p in model.parameters()]
    assert "weight_decay" not in group


def test_norms_and_biases_can_be_left_out_of_the_decay() -> None:
    """Kernels decay, tensors of one dimension do not."""
    decayed, free = found(optimizer__decay_norm=False)
    assert all(parameter.ndim == 4 for parameter in decayed["params"])
    assert all(parameter.ndim == 1 for parameter in free["params"])
    assert free["weight_decay"] == 0.0


def test_every_parameter_is_in_exactly_one_group() -> None:
    """Also where both distinctions cross."""
    all_of_them = found(optimizer__decay_norm=False, model__encoder_lr=0.1)
    assert len(all_of_them) == 4
    assert sum(len(group["params"]) for group in all_of_them) == 8


def test_the_encoder_learns_at_its_own_rate() -> None:
    """The factor multiplies whatever the schedule says."""
    encoder, decoder = found(model__encoder_lr=0.1)
    set_rate([encoder, decoder], 0.02)
    assert (encoder["lr"], decoder["lr"]) == (pytest.approx(0.002), 0.02)


@pytest.mark.parametrize("optimizer", catalog.names("optimizer"))
def test_an_optimizer_keeps_the_groups_and_their_factors(optimizer: str) -> None:
    """A checkpoint brings them back, and a group without decay does not decay."""
    made = found(optimizer__decay_norm=False, model__encoder_lr=0.5)
    built = catalog.load("optimizer", optimizer).build(made, 0.01, 0.1, False)
    state = built.state_dict()["param_groups"]
    assert [group["factor"] for group in state] == [0.5, 0.5, 1.0, 1.0]
    assert sorted(group["weight_decay"] for group in state) == [0.0, 0.0, 0.1, 0.1]
    assert all(isinstance(group["params"][0], torch.Tensor) for group in built.param_groups)
