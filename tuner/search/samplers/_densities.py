"""Log density of Optuna's mixtures: equal to nearly the last digit, several times cheaper.

A mixture has one kernel per trial and one for the prior; a kernel is a product of one distribution
per param. Shapes below: points (the candidates of a draw) by kernels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _unique_inverse_2d,
)
from scipy.special import log_ndtr, ndtr

from tuner.search.curve_table import Floats

_LOG_ROOT_OF_TWO_PI = 0.5 * np.log(2 * np.pi)
_NOTHING = -700.0  # adds nothing to a sum with 1 in it; a smaller power of e is slow to compute
_TINY = 1e-290  # masses below this come from the logarithms of the tails


class ParzenEstimator(_ParzenEstimator):
    """Optuna's estimator with our `log_pdf`."""

    def log_pdf(self, samples_dict: dict[str, Floats]) -> Floats:
        """The mixture's log density at each of the points."""
        mixture = self._mixture_distribution
        total = np.zeros((len(next(iter(samples_dict.values()))), len(mixture.weights)))
        part = np.empty_like(total)  # one param's share
        constant = np.log(mixture.weights)
        for name, kernels in zip(self._search_space, mixture.distributions, strict=True):
            at = samples_dict[name]
            if isinstance(kernels, _BatchedCategoricalDistributions):
                np.take(
                    np.log(kernels.weights.T), at.astype(np.intp), axis=0, out=part, mode="clip"
                )
            elif kernels.step:
                masses, kind = _stepped(kernels, at)
                np.take(masses, kind, axis=1, out=part, mode="clip")
            else:
                constant += _continuous(kernels, at, part)
            total += part
        total += constant
        top = total.max(axis=1)
        total -= np.where(np.isneginf(top), 0.0, top)[:, np.newaxis]  # not -inf - -inf
        np.maximum(total, _NOTHING, out=total)
        return np.asarray(np.log(np.exp(total, out=total).sum(axis=1)) + top)


def _continuous(kernels: Any, at: Floats, part: Floats) -> Floats:
    """Write the normal densities into `part` without the kernels' constants, which come back."""
    low, high, mu, sigma = kernels.adapted_low, kernels.adapted_high, kernels.mu, kernels.sigma
    where = np.clip(np.log(at) if kernels.is_log else at, low, high)
    np.subtract(where[:, np.newaxis], mu, out=part)
    part /= sigma
    np.multiply(part, part, out=part)
    part *= -0.5
    mass = log_mass((low - mu) / sigma, (high - mu) / sigma)
    return np.asarray(-mass - np.log(sigma) - _LOG_ROOT_OF_TWO_PI)


def _stepped(kernels: Any, at: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Log mass of the step around each point by kind of kernel, and the kinds of the kernels."""
    values, place = np.unique(at, return_inverse=True)
    mu, sigma, kind = _unique_inverse_2d(kernels.mu, kernels.sigma)
    edges = np.stack([values - kernels.step / 2, values + kernels.step / 2])[:, :, np.newaxis]
    if kernels.is_log:
        edges = np.log(edges)
    left, right = (edges - mu) / sigma  # distinct values × kinds
    low, high = kernels.adapted_low, kernels.adapted_high
    masses = log_mass(left, right) - log_mass((low - mu) / sigma, (high - mu) / sigma)
    return masses[place], kind


def log_mass(low: Floats, high: Floats) -> Floats:
    """Log of the standard normal's mass between, exact in both tails, however far."""
    is_right = low > 0  # seen from the left, where the distribution function keeps its digits
    low, high = np.where(is_right, -high, low), np.where(is_right, -low, high)
    mass = ndtr(high) - ndtr(low)
    is_far = mass < _TINY
    if not is_far.any():
        return np.asarray(np.log(mass))
    upper = log_ndtr(high[is_far])
    with np.errstate(divide="ignore"):
        found = np.log(np.where(is_far, 1.0, mass))
        found[is_far] = upper + np.log1p(-np.exp(log_ndtr(low[is_far]) - upper))
    return np.asarray(found)
