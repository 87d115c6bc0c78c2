"""What each of several samplers has earned: how rare it is to do as well as its latest draws.

A trial is compared with those before it, each at the last rung that both reached. Its credit is how
often the trials that did as well or better can be doubled before they are all of them: of 64, the
best so far has six, the middle one has one, the worst none; what only repeats a good result has
less each time. Shares follow the mean credit of the latest draws, as in a portfolio of acquisition
functions (Hoffman, Brochu & de Freitas 2011), whose rewards come from the model instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log2, nan

import numpy as np
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import Integers
from tuner.search.trial_arrays import TrialColumns
from tuner.spec.sources import DRAWN_BY

SOURCE = "source"  # the attribute of a trial that a proposer has drawn
_LATEST = 100  # results that shares follow: of more, the oldest weigh a sixth at most
_AMONG_BEST = log2(10)  # credit of what is among the best tenth of those so far


class DrawnTrials(TrialColumns):
    """Where each trial's params come from, None if unknown, and what it reached; more is better.

    The first column of `values` is 1 for what has a result, 0 for what could not be trained or
    breaks a bound, and a half for what was stopped before all rungs; then come the rungs and the
    end. Not a number where there is nothing yet.
    """

    _columns = ("drawn_by", "values")

    def __init__(self, steps: Sequence[int], direction: StudyDirection) -> None:
        super().__init__()
        self._steps, self._sign = steps, -1.0 if direction is StudyDirection.MINIMIZE else 1.0
        self.drawn_by = np.empty(0, dtype=object)
        self.values = np.empty((0, len(steps) + 2))

    def _read(self, row: int, trial: FrozenTrial) -> None:
        self.drawn_by[row] = trial.system_attrs.get(DRAWN_BY, trial.system_attrs.get(SOURCE))
        self.values[row] = nan
        if any(excess > 0 for excess in trial.constraints.values()):
            self.values[row, 0] = 0.0
        elif trial.state is not TrialState.FAIL:
            found = [trial.intermediate_values.get(step, nan) for step in self._steps]
            found.append(trial.values[0] if trial.state is TrialState.COMPLETE else nan)
            self.values[row, 1:] = [self._sign * v if isfinite(v) else nan for v in found]
            if np.isfinite(self.values[row, 1:]).any():
                self.values[row, 0] = 1.0
            elif trial.state is TrialState.PRUNED:
                self.values[row, 0] = 0.5


@dataclass(frozen=True, slots=True)
class Earnings:
    """A source's trials; of its latest those with results, and those among the best tenth of all
    trials before them; the mean credit of these, and the source's share of the draws to come."""

    draws: int = 0
    results: int = 0
    among_best: int = 0
    credit: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class ShareRule:
    """How credit becomes shares.

    `shares` are those before there are results. A result counts half after `halved_by` further
    trials, and each sampler is credited with `assumed` results of the mean. Then shares go with
    credit to the power of `sharpness`; what is below `floor` is raised to that, and all are made a
    whole again.
    """

    shares: Mapping[str, float]
    halved_by: float
    assumed: float
    sharpness: float
    floor: float


def credits_of(rows: Integers, values: Floats) -> Floats:
    """The credit of some of the trials; `values` of all, by number, as in `DrawnTrials`."""
    mine = values[rows]
    is_before = np.arange(len(values)) < rows[:, None]
    is_open, is_as_good = is_before.copy(), np.zeros_like(is_before)
    for rung in reversed(range(values.shape[1])):
        is_there = is_open & np.isfinite(mine[:, rung, None]) & np.isfinite(values[:, rung])
        if rung == 0:  # that both have a result, at rungs that differ, compares nothing
            is_there &= values[:, 0] != mine[:, 0, None]
        is_as_good |= is_there & (values[:, rung] >= mine[:, rung, None])
        is_open &= ~is_there
    compared = (is_before & ~is_open).sum(axis=1)
    return np.asarray(np.log2((compared + 1) / (is_as_good.sum(axis=1) + 1)))


def earnings(drawn_by: NDArray[np.object_], values: Floats, rule: ShareRule) -> dict[str, Earnings]:
    """What each sampler has earned after these trials, by its name, and what else has drawn some.

    What has no share in `rule` gets none, and nothing of what it drew changes those of others.
    """
    known = {name for name in drawn_by.tolist() if name is not None}
    names = [*rule.shares, *sorted(known - rule.shares.keys())]
    rows = np.flatnonzero(np.isfinite(values[:, 0]) & np.isin(drawn_by, names))[-_LATEST:]
    credits, drew = credits_of(rows, values), drawn_by[rows]
    weights = 0.5 ** ((len(values) - 1 - rows) / rule.halved_by)
    own = weights * np.isin(drew, list(rule.shares))
    usual = (own @ credits + rule.assumed) / (own.sum() + rule.assumed)
    credit = {name: _mean(credits, weights * (drew == name), usual, rule.assumed) for name in names}
    shares = _shares({name: credit[name] for name in rule.shares}, rule)
    return {
        name: Earnings(
            draws=int((drawn_by == name).sum()),
            results=int((drew == name).sum()),
            among_best=int((credits[drew == name] >= _AMONG_BEST).sum()),
            credit=credit[name],
            share=shares.get(name, 0.0),
        )
        for name in names
    }


def _mean(credits: Floats, weights: Floats, usual: float, assumed: float) -> float:
    return float((weights @ credits + assumed * usual) / (weights.sum() + assumed))


def _shares(credit: Mapping[str, float], rule: ShareRule) -> dict[str, float]:
    """Shares of the draws to come; a sampler that had none at first has none."""
    parts = {name: first * credit[name] ** rule.sharpness for name, first in rule.shares.items()}
    whole = sum(parts.values())
    raised = {
        name: max(part / whole, rule.floor) if rule.shares[name] else 0.0
        for name, part in parts.items()
    }
    return {name: part / sum(raised.values()) for name, part in raised.items()}
