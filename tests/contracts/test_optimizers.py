"""Every optimizer goes downhill, says how its rate scales, and resumes bit for bit."""

import copy

import torch
from torch import nn
from torch.optim import Optimizer

from tuner.configs import catalog
from tuner.configs.traits import OptimizerTraits


def build(optimizer: str, parameter: nn.Parameter, lr: float = 0.01) -> Optimizer:
    """The optimizer with its default options."""
    built = catalog.load("optimizer", optimizer).build([parameter], lr, 1e-4, False)
    assert isinstance(built, Optimizer)
    return built


def descend(optimizer: Optimizer, parameter: nn.Parameter, steps: int) -> None:
    """Steps on the bowl |x|²."""
    for _ in range(steps):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()


def test_it_goes_downhill(optimizer: str) -> None:
    """Fifty steps on a bowl end lower than they began."""
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    descend(build(optimizer, parameter), parameter, 50)
    assert parameter.square().sum() < 5.0


def test_state_resumes_bit_for_bit(optimizer: str) -> None:
    """Ten steps equal five, a copy of the state, and five more."""
    whole = nn.Parameter(torch.tensor([1.0, -2.0]))
    straight = build(optimizer, whole)
    descend(straight, whole, 5)
    cut = nn.Parameter(whole.detach().clone())
    resumed = build(optimizer, cut)
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    descend(straight, whole, 5)
    descend(resumed, cut, 5)
    assert torch.equal(whole, cut)


def test_it_declares_how_the_rate_scales_with_the_batch(optimizer: str) -> None:
    """`LR_SCALING` is one of the rules that the loop knows."""
    scaling = catalog.traits(OptimizerTraits, optimizer).lr_scaling
    assert scaling in {"linear", "sqrt", "none"}
