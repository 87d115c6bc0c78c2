"""A Gaussian process over params and rungs: what a trial is worth at a rung it has not seen.

The covariance of two results is v·v'·exp(-|t - t'|/ρ)·(k + τ² if of one trial) + offset² if at one
rung + σ² if the same. k is Matérn 5/2 with a length per coordinate of the unit cube (a choice is
equal or not), v a rung's amplitude, t the logarithm of its step from 0 at the first rung to 1 at
the full budget. The offset integrates the rung's own mean out: only the better trials reach a high
rung. Predictions leave it out, because it is common to all that is compared.

Lengths have a prior around four times the side of the cube, and more in many dimensions (Hvarfner
et al. 2024): short ones find a region of its own behind each cliff.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri
from scipy.optimize import minimize

from tuner.search.cube import Flags
from tuner.search.curve_table import Floats

Integers = NDArray[np.intp]

_LENGTH, _AMPLITUDE, _RHO, _NOISE, _OWN = 4.0, 1.0, 2.0, 0.03, 0.05  # medians of the priors
_SPREAD = {"length": 0.9, "amplitude": 1.0, "rho": 1.0, "noise": 1.0, "own": 1.0}  # of their logs
_LONGEST = 30.0  # length that is as good as infinite
_USUAL = 7  # dimensions from which on lengths grow with their root
_WIDTH = 4.0  # standard deviations of a prior that a fit may go
_JITTER = 1e-6
_OFFSET = 4.0  # variance of a rung's own mean, in standardised units
_FIRST, _ITERATIONS = 10, 40  # of a fit from each start, and in all
_SHORTER = 4.0  # times the prior's lengths are those of the other start
_LEAST_VARIANCE = 1e-10
_ROOT_OF_FIVE = np.sqrt(5.0)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Results: points of the cube, indices of their rungs, numbers of their trials."""

    points: Floats
    rungs: Integers
    trials: Integers

    def __len__(self) -> int:
        """Number of results."""
        return len(self.rungs)

    def __add__(self, other: "Inputs") -> "Inputs":
        """These and then the others."""
        return Inputs(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.rungs, other.rungs]),
            np.concatenate([self.trials, other.trials]),
        )


class Moments(NamedTuple):
    """Mean and standard deviation at some points, and their gradients: points × coordinates."""

    mean: Floats
    sd: Floats
    mean_slope: Floats
    sd_slope: Floats


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """What is known before any result: which coordinates are choices, and where the rungs lie.

    `times` rise from 0 at the first rung to 1 at the full budget; a single rung lies at 0.
    `offset` is the variance of a rung's own mean; 0 where values are on an absolute scale.
    """

    is_choice: Flags
    times: Floats
    offset: float = _OFFSET

    def prior(self) -> tuple[Floats, Floats]:
        """Medians' logarithms and their standard deviations, in the order of `Kernel.of`."""
        dimensions, rungs = len(self.is_choice), len(self.times)
        length = _LENGTH * max(1.0, dimensions / _USUAL) ** 0.5
        medians = [length] * dimensions + [_AMPLITUDE] * rungs + [_RHO, _NOISE, _OWN]
        spreads = [_SPREAD["length"]] * dimensions + [_SPREAD["amplitude"]] * rungs
        rest = [_SPREAD["rho"], _SPREAD["noise"], _SPREAD["own"]]
        return np.log(medians), np.array(spreads + rest)

    def bounds(self) -> tuple[Floats, Floats]:
        """Where a fit may go, in the order of `Kernel.of`."""
        middle, spread = self.prior()
        low, high = middle - _WIDTH * spread, middle + _WIDTH * spread
        lengths = len(self.is_choice)
        high[:lengths] = np.minimum(high[:lengths], np.log(_LONGEST))
        return low, high


@dataclass(frozen=True, slots=True)
class Kernel:
    """The covariance; `weights` are the inverse squares of the lengths, the rest as above."""

    spec: KernelSpec
    weights: Floats
    amplitudes: Floats
    rho: float
    noise: float  # σ²
    own: float  # τ²

    @classmethod
    def of(cls, spec: KernelSpec, logs: Floats) -> "Kernel":
        """The kernel of the logarithms of lengths, amplitudes, ρ, σ and τ."""
        lengths = len(spec.is_choice)
        rho, noise, own = logs[-3:].tolist()
        return cls(
            spec,
            np.exp(-2 * logs[:lengths]),
            np.exp(logs[lengths:-3]),
            float(np.exp(rho)),
            float(np.exp(2 * noise)),
            float(np.exp(2 * own)),
        )

    def across(self) -> Floats:
        """What a covariance is multiplied by for its two rungs: rungs × rungs."""
        apart = np.abs(self.spec.times[:, np.newaxis] - self.spec.times)
        return np.asarray(np.outer(self.amplitudes, self.amplitudes) * np.exp(-apart / self.rho))

    def among(self, rows: Inputs) -> Floats:
        """The covariance of results, noise included."""
        found = _value(Distances(self, rows.points)(rows.points))
        found += self.own * (rows.trials[:, np.newaxis] == rows.trials)
        found *= self.across()[np.ix_(rows.rungs, rows.rungs)]
        found += self.spec.offset * (rows.rungs[:, np.newaxis] == rows.rungs)
        found[np.diag_indices(len(rows))] += self.noise + _JITTER
        return found


class Distances:
    """Squared distances to some points, in lengths; what depends on these alone is kept."""

    def __init__(self, kernel: Kernel, points: Floats) -> None:
        is_choice = kernel.spec.is_choice
        self._numbers, self._roots = np.flatnonzero(~is_choice), np.sqrt(kernel.weights[~is_choice])
        self._choices = [
            (place, kernel.weights[place], points[:, place]) for place in np.flatnonzero(is_choice)
        ]
        scaled = self._scaled(points)
        self._minus_twice, self._squares = -2.0 * scaled.T, _squared(scaled)

    def __call__(self, points: Floats) -> Floats:
        """From each of other points to each of these; as a product, many times as fast."""
        scaled = self._scaled(points)
        found = scaled @ self._minus_twice
        found += _squared(scaled)[:, np.newaxis]
        found += self._squares
        np.maximum(found, 0.0, out=found)  # rounding
        for place, weight, known in self._choices:
            found += weight * (points[:, place, np.newaxis] != known)
        return np.asarray(found)

    def _scaled(self, points: Floats) -> Floats:
        """The numbers among the coordinates in lengths, from the cube's middle."""
        return np.asarray((points[:, self._numbers] - 0.5) * self._roots)


class GaussianProcess:
    """The posterior given some results, of which more is better."""

    def __init__(self, kernel: Kernel, rows: Inputs, values: Floats) -> None:
        """Raises LinAlgError where the covariance cannot be inverted, however it is propped up."""
        self.kernel, self.rows, self.values = kernel, rows, values
        self._root = _root(kernel.among(rows))
        self._weights, _ = dpotrs(self._root, values, lower=1)
        if not np.isfinite(self._weights).all():
            raise np.linalg.LinAlgError("the results are not finite")
        self._distances, self._across = Distances(kernel, rows.points), kernel.across()

    @cached_property
    def _inverse(self) -> Floats:
        """Of the root; products with it are several times as fast as solving."""
        found, _ = dtrtri(self._root, lower=1)
        return np.asarray(found)

    def mean(self, points: Floats, rung: int, trials: Integers | None = None) -> Floats:
        """The first part of `predict`, which costs the least."""
        return np.asarray(self._cross(points, rung, trials) @ self._weights)

    def predict(
        self, points: Floats, rung: int, trials: Integers | None = None
    ) -> tuple[Floats, Floats]:
        """Mean and standard deviation at the rung, without the rung's own mean.

        With `trials`, of those very trials, whose other results say more than their params do.
        """
        cross = self._cross(points, rung, trials)
        whitened = dtrmm(1.0, self._inverse, cross.T, lower=1)
        own = 0.0 if trials is None else self.kernel.own
        before = self.kernel.amplitudes[rung] ** 2 * (1 + own)
        variance = np.maximum(before - _squared(whitened.T), _LEAST_VARIANCE)
        return cross @ self._weights, np.sqrt(variance)

    def moments(self, points: Floats, rung: int) -> Moments:
        """What `predict` says of new trials, and how it changes with the points.

        Along a choice nothing changes.
        """
        value, slope = matern(self._distances(points))
        scale = self._across[rung, self.rows.rungs]
        cross = value * scale
        whitened = cross @ self._inverse.T
        variance = self.kernel.amplitudes[rung] ** 2 - _squared(whitened)
        sd = np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
        slope *= -scale
        mean_slope = self._along(points, slope * self._weights)
        sd_slope = self._along(points, slope * (whitened @ self._inverse)) / -sd[:, np.newaxis]
        return Moments(cross @ self._weights, sd, mean_slope, sd_slope)

    def _along(self, points: Floats, pull: Floats) -> Floats:
        """The sum of the ways from all results to a point, by how much each counts."""
        found = points * pull.sum(axis=1)[:, np.newaxis] - pull @ self.rows.points
        found *= self.kernel.weights
        found[:, self.kernel.spec.is_choice] = 0.0
        return np.asarray(found)

    def believing(self, points: Floats, rung: int, trials: Integers) -> "GaussianProcess":
        """The posterior as if the trials had reached the rung with what is expected of them.

        Its mean is the same; near running trials there is less left to learn (kriging believer,
        Ginsbourger et al. 2010).
        """
        if not len(points):
            return self
        expected = self.mean(points, rung, trials)
        expected += self.kernel.spec.offset * self._weights[self.rows.rungs == rung].sum()
        more = Inputs(points, np.full(len(points), rung), trials)
        return GaussianProcess(
            self.kernel, self.rows + more, np.concatenate([self.values, expected])
        )

    def _cross(self, points: Floats, rung: int, trials: Integers | None) -> Floats:
        found = _value(self._distances(points))
        if trials is not None:
            found += self.kernel.own * (trials[:, np.newaxis] == self.rows.trials)
        found *= self._across[rung, self.rows.rungs]
        return found


class Likelihood:
    """How likely some results are with a prior, by the logarithms of the kernel's numbers.

    All that does not depend on these is worked out once. Symmetric matrices are kept as the pairs
    of their lower triangle.
    """

    def __init__(self, spec: KernelSpec, rows: Inputs, values: Floats) -> None:
        self._spec, self._values = spec, values
        count, rungs = len(rows), len(spec.times)
        first, second = np.tril_indices(count)
        self._pairs, self._places = (first, second), first * count + second
        self._diagonal = np.flatnonzero(first == second)
        self._times = np.where(first == second, 0.5, 1.0)  # half as often as in the matrix
        along = np.ascontiguousarray(rows.points.T)
        self._squares = along[:, first] - along[:, second]  # coordinates × pairs
        self._squares *= self._squares
        self._squares[spec.is_choice] = self._squares[spec.is_choice] > 0
        one, other = rows.rungs[first], rows.rungs[second]
        self._rungs = one * rungs + other
        every = np.arange(rungs)[:, np.newaxis]
        self._shares = (one == every) + (other == every).astype(float)  # rungs × pairs
        self._apart = np.abs(spec.times[one] - spec.times[other])
        self._own = np.flatnonzero(rows.trials[first] == rows.trials[second])
        self._offset = spec.offset * (one == other)
        self._prior = spec.prior()

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """The negative log posterior, and its gradient; a very bad one where it is undefined."""
        kernel, count = Kernel.of(self._spec, logs), len(self._values)
        correlated, slope = matern(kernel.weights @ self._squares)
        correlated[self._own] += kernel.own
        scale = kernel.across().ravel()[self._rungs]
        correlated *= scale
        pairs = correlated + self._offset
        pairs[self._diagonal] += kernel.noise + _JITTER
        matrix = np.zeros((count, count))
        matrix.ravel()[self._places] = pairs
        # Seen by Fortran, the lower triangle of our rows is the upper one of its columns.
        root, failed = dpotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(logs)
        weights, _ = dpotrs(root, self._values, lower=0)
        misfit = 0.5 * self._values @ weights + np.log(root.diagonal()).sum()
        inverse, _ = dpotri(root, lower=0, overwrite_c=1)
        pull = inverse.T.ravel()[self._places]
        pull -= weights[self._pairs[0]] * weights[self._pairs[1]]
        pull *= self._times
        away = (logs - self._prior[0]) / self._prior[1]
        gradient = self._gradient(kernel, pull, scale, slope, correlated)
        return float(misfit + 0.5 * away @ away), gradient + away / self._prior[1]

    def _gradient(
        self, kernel: Kernel, pull: Floats, scale: Floats, slope: Floats, correlated: Floats
    ) -> Floats:
        """The change of the misfit with each logarithm; `pull` is its change with the pairs."""
        correlated *= pull
        scale *= pull
        slope *= scale
        return np.concatenate(
            [
                (self._squares @ slope) * kernel.weights,
                self._shares @ correlated,
                [
                    correlated @ self._apart / kernel.rho,
                    2 * kernel.noise * pull[self._diagonal].sum(),
                    2 * kernel.own * scale[self._own].sum(),
                ],
            ]
        )


def fitted(spec: KernelSpec, rows: Inputs, values: Floats) -> Kernel:
    """The most likely kernel of the results that was found.

    From the prior's medians alone, all that is not smooth is taken for noise; so another search
    begins at short lengths, and the better of the two goes on.
    """
    likelihood, bounds = Likelihood(spec, rows, values), np.stack(spec.bounds(), axis=1)

    def search(start: Floats, iterations: int) -> Any:
        options = {"maxiter": iterations}
        return minimize(
            likelihood, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        )

    middle, _ = spec.prior()
    short = middle.copy()
    short[: len(spec.is_choice)] -= np.log(_SHORTER)
    begun = min((search(start, _FIRST) for start in (middle, short)), key=lambda one: one.fun)
    return Kernel.of(spec, search(begun.x, _ITERATIONS - _FIRST).x)


def matern(squares: Floats) -> tuple[Floats, Floats]:
    """Matérn 5/2 of squared distances, and -2 times its derivative by them."""
    far = np.sqrt(squares)
    far *= _ROOT_OF_FIVE
    decay = np.exp(-far)
    slope = far + 1.0
    slope *= decay
    far *= far
    far *= decay
    far /= 3.0
    far += slope
    slope *= 5.0 / 3.0
    return np.asarray(far), np.asarray(slope)


def _value(squares: Floats) -> Floats:
    """The first part of `matern`."""
    far = np.sqrt(squares)
    far *= _ROOT_OF_FIVE
    found = far / 3.0
    found += 1.0
    found *= far
    found += 1.0
    np.negative(far, out=far)
    found *= np.exp(far, out=far)
    return np.asarray(found)


def _squared(rows: Floats) -> Floats:
    """The squared length of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _root(covariance: Floats) -> Floats:
    """The lower Cholesky factor, of a covariance with more on its diagonal where it must be."""
    added, diagonal = 0.0, np.diag_indices(len(covariance))
    for _ in range(6):
        root, failed = dpotrf(covariance, lower=1, clean=1)
        if not failed:
            return np.asarray(root)
        more = max(9 * added, _JITTER)
        covariance[diagonal] += more
        added += more
    raise np.linalg.LinAlgError("the covariance of the results is not positive definite")
