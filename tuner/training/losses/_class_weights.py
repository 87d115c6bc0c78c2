"""Class weights from the shares that classes hold of the labelled training pixels.

Weights are scaled so that the pixels of the training set weigh 1 on average, so that a learning
rate keeps its meaning with and without them. A class that never occurs weighs nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from math import expm1, log
from statistics import median

import torch
from torch import Tensor

_UNITS = 1e5  # pixels of one thing repeat each other, so that a class is counted in parts of 10⁵


def class_weights(
    rule: str, shares: Sequence[float], *, beta: float | None = None, power: float = 1.0
) -> Tensor:
    """Weights of K classes as float32.

    `median_frequency` follows SegNet (Badrinarayanan et al. 2017): median of the shares / share;
    `inverse_log` ENet (Paszke et al. 2016): 1 / ln(1.02 + share); `effective_number` Cui et al.
    (2019): (1 - beta) / (1 - beta^n), n the share in parts of 10⁵, as samples and not pixels are
    what the paper counts: at real pixel counts every class has all the 1 / (1 - beta) that there
    are. `beta` None takes as many as the median class has samples: rarer classes weigh about
    1 / share, more frequent ones alike, whatever the shares. `power` below 1 tempers them.
    """
    weight = _RULES[rule](shares, beta)
    raw = [weight(share) ** power if share > 0 else 0.0 for share in shares]
    if rule == "none":
        return torch.ones(len(shares))
    mean = sum(value * share for value, share in zip(raw, shares, strict=True))
    scale = 1.0 / mean if mean > 0 else 1.0
    return torch.tensor([value * scale for value in raw], dtype=torch.float32)


def _none(shares: Sequence[float], beta: float | None) -> Callable[[float], float]:
    return lambda share: 1.0


def _median_frequency(shares: Sequence[float], beta: float | None) -> Callable[[float], float]:
    middle = _median(shares)
    return lambda share: middle / share


def _inverse_log(shares: Sequence[float], beta: float | None) -> Callable[[float], float]:
    return lambda share: 1.0 / log(1.02 + share)


def _effective_number(shares: Sequence[float], beta: float | None) -> Callable[[float], float]:
    # beta^n is exp(n · ln beta); with N samples to be had, ln beta is -1 / N
    rate = 1 / _median(shares) if beta is None else -_UNITS * log(beta)
    return lambda share: -1.0 / expm1(-rate * share)


def _median(shares: Sequence[float]) -> float:
    """The median share of the classes that occur."""
    return median([share for share in shares if share > 0] or [1.0])


_RULES: Mapping[str, Callable[[Sequence[float], float | None], Callable[[float], float]]] = {
    "none": _none,
    "median_frequency": _median_frequency,
    "inverse_log": _inverse_log,
    "effective_number": _effective_number,
}
