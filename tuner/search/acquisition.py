"""What a point promises: the logarithm of its expected improvement, and of its being feasible.

Logarithms, because far from anything good the improvement and its slopes are too small for
floating point (Ament et al. 2023); constraints as a probability (Gardner et al. 2014).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import GaussianProcess, Moments

_LOG_ROOT_OF_TWO_PI = 0.5 * np.log(2 * np.pi)
_NEAR, _FAR = -1.0, -100.0  # below the first the sum cancels, below the second erfcx's form does


@dataclass(frozen=True, slots=True)
class Improvement:
    """By how much a new trial may be better than the best at a rung, as a logarithm."""

    process: GaussianProcess
    rung: int
    best: float

    def values(self, points: Floats) -> Floats:
        """Of each point."""
        mean, sd = self.process.predict(points, self.rung)
        return np.asarray(log_improvement((mean - self.best) / sd) + np.log(sd))

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Of each point, with its change along each coordinate."""
        found = self.process.moments(points, self.rung)
        above = (found.mean - self.best) / found.sd
        value = log_improvement(above)
        by_mean = np.exp(log_ndtr(above) - value) / found.sd
        by_sd = np.exp(-0.5 * above**2 - _LOG_ROOT_OF_TWO_PI - value) / found.sd
        return value + np.log(found.sd), _along(found, by_mean, by_sd)


@dataclass(frozen=True, slots=True)
class Feasibility:
    """How likely a new trial is to keep a bound, as a logarithm: its slack is `bound` or more."""

    process: GaussianProcess
    bound: float

    def values(self, points: Floats) -> Floats:
        """Of each point."""
        mean, sd = self.process.predict(points, 0)
        return np.asarray(log_ndtr((mean - self.bound) / sd))

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Of each point, with its change along each coordinate."""
        found = self.process.moments(points, 0)
        above = (found.mean - self.bound) / found.sd
        value = log_ndtr(above)
        steepness = np.exp(-0.5 * above**2 - _LOG_ROOT_OF_TWO_PI - value) / found.sd
        return np.asarray(value), _along(found, steepness, -above * steepness)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """The sum of several logarithms: what is to be maximised."""

    terms: Sequence[Improvement | Feasibility]

    def values(self, points: Floats) -> Floats:
        """Of each point."""
        return np.asarray(np.sum([term.values(points) for term in self.terms], axis=0))

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Of each point, with its change along each coordinate."""
        values, slopes = zip(*(term.slopes(points) for term in self.terms), strict=True)
        return np.sum(values, axis=0), np.sum(slopes, axis=0)


def log_improvement(above: Floats) -> Floats:
    """log(φ(z) + z·Φ(z)): the improvement over the best, z deviations below the mean."""
    found = np.empty(above.shape)
    near, far = above > _NEAR, above < _FAR
    z = above[near]
    found[near] = np.log(np.exp(-0.5 * z * z - _LOG_ROOT_OF_TWO_PI) + z * ndtr(z))
    z = above[~near & ~far]
    found[~near & ~far] = (
        np.log1p(np.sqrt(np.pi / 2) * erfcx(-z / np.sqrt(2)) * z)
        - 0.5 * z * z
        - _LOG_ROOT_OF_TWO_PI
    )
    z = above[far]
    q = (1 / z) ** 2  # powers of it vanish where those of z would be infinite
    series = np.log1p(-3 * q + 15 * q**2 - 105 * q**3)
    found[far] = series - 2 * np.log(-z) - 0.5 * z * z - _LOG_ROOT_OF_TWO_PI
    return found


def _along(found: Moments, by_mean: Floats, by_sd: Floats) -> Floats:
    """The change along each coordinate, by those with mean and deviation."""
    return np.asarray(
        by_mean[:, np.newaxis] * found.mean_slope + by_sd[:, np.newaxis] * found.sd_slope
    )
