"""A study's results as the model that says where to look next.

The Gaussian process of `gaussian_process`, at the full budget, with running trials believed; each
bound that trials have broken is one more, of what is left to it. The likeliest kernel is found on
fewer results than the model has.
"""

from dataclasses import dataclass

import numpy as np

from tuner.search.acquisition import Acquisition, Feasibility, Improvement
from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import (
    GaussianProcess,
    Inputs,
    Integers,
    KernelSpec,
    fitted,
)
from tuner.search.observation import TRAINABLE
from tuner.search.rung_results import (
    RungResults,
    as_rows,
    kept,
    slacks,
    standardised,
)

_FITTED = 128  # results that the kernel is found on
_BELIEVED = 100  # running trials that are believed, the latest
_BOUND_RESULTS = 60  # on either side of a bound
_LEAST_SPREAD = 0.5  # of what is left to a bound
_MARGIN = 0.1  # by which the best is to be improved on, in standardised units
_LEADERS = 6


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What is to be maximised, the points of the best trials so far, and those of all."""

    acquisition: Acquisition
    leaders: Floats
    taken: Floats


def surrogate(
    results: RungResults,
    values: Floats,
    spec: KernelSpec,
    *,
    asked: int,
    startup: int,
    history: int,
) -> Surrogate | None:
    """The model for the trial of number `asked`; None while fewer than `startup` have results.

    `values` of trials × rungs, more is better, are what is searched for. Of more than `history`
    of them some are left out. Raises LinAlgError where there is no model of them.
    """
    is_one = results.finals.shape[1] == 1  # of several, what is bad by one draw's weights is not
    usable = np.flatnonzero(results.is_whole & (results.numbers != asked))
    scaled = standardised(values[usable], clipped=is_one)
    has_result = np.isfinite(scaled).any(axis=1)
    if has_result.sum() < max(1, startup):
        return None
    points, numbers = results.points[usable], results.numbers[usable]
    top = len(spec.times) - 1
    used = kept(scaled, history)
    process = _process(spec, points, numbers, scaled, used)
    is_running = results.is_open[usable] & np.isnan(scaled[:, -1])
    running = np.flatnonzero(is_running)[-_BELIEVED:]
    process = process.believing(points[running], top, numbers[running])
    known = np.union1d(used, running)
    expected = process.mean(points[known], top, numbers[known])
    violations, is_broken = results.violations[usable], results.is_broken[usable]
    feasible = ~is_broken[known]
    terms: list[Improvement | Feasibility] = []
    if feasible.any():
        terms.append(Improvement(process, top, float(expected[feasible].max()) + _MARGIN))
    for name in sorted({n for each in violations[is_broken] for n, v in each.items() if v > 0}):
        left = slacks(violations.tolist(), name)
        if name == TRAINABLE:
            left[np.isnan(left) & has_result] = 1.0
        terms.append(_feasibility(spec, points, numbers, left))
    order = np.lexsort((-expected, ~feasible))[:_LEADERS]
    return Surrogate(Acquisition(terms), points[known[order]], points)


def scalarised(finals: Floats, signs: Floats, rng: np.random.Generator) -> Floats:
    """Several objectives as one, of random weights: trials × 1, more is better (Knowles 2006).

    Draws of different weights spread over the front. `signs` times `finals` is to be minimised.
    """
    costs = finals * signs
    is_there = np.isfinite(costs).all(axis=1)
    found = np.full((len(finals), 1), np.nan)
    if not is_there.any():
        return found
    low, high = costs[is_there].min(axis=0), costs[is_there].max(axis=0)
    shares = (costs[is_there] - low) / np.where(high > low, high - low, 1.0)
    weighted = shares * rng.dirichlet(np.ones(len(signs)))
    found[is_there, 0] = -weighted.max(axis=1) - 0.05 * weighted.sum(axis=1)
    return found


def _process(
    spec: KernelSpec, points: Floats, numbers: Integers, scaled: Floats, used: Integers
) -> GaussianProcess:
    few = used[np.isfinite(scaled[used]).sum(axis=1).cumsum() <= _FITTED]
    kernel = fitted(spec, *as_rows(points[few], numbers[few], scaled[few]))
    return GaussianProcess(kernel, *as_rows(points[used], numbers[used], scaled[used]))


def _feasibility(spec: KernelSpec, points: Floats, numbers: Integers, left: Floats) -> Feasibility:
    """The probability that a bound is kept, by what is left to it."""
    broken, within = np.flatnonzero(left <= 0), np.flatnonzero(left > 0)
    used = np.sort(np.concatenate([broken[-_BOUND_RESULTS:], within[-_BOUND_RESULTS:]]))
    there = left[used]
    middle, spread = there.mean(), max(float(there.std()), _LEAST_SPREAD)
    rows = Inputs(points[used], np.zeros(len(used), dtype=np.intp), numbers[used])
    values = (there - middle) / spread
    one_rung = KernelSpec(spec.is_choice, np.zeros(1), offset=0.0)
    process = GaussianProcess(fitted(one_rung, rows, values), rows, values)
    return Feasibility(process, float(-middle / spread))
