"""Asynchronous successive halving (Li et al. 2020), in the form that stops and never waits.

At each rung a trial goes on if it is among the best 1/eta of all that have reached the rung so
far. Rungs grow by eta from about 1/17 of the budget, past warm-up: a lower one compares noise.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

from pydantic import Field

from tuner.search.course import Course, Setting, rivals
from tuner.spec.messages import Action, Verdict

_SHARES = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}


def judged_steps(
    setting: Setting, *, eta: int = 3, min_step: int | None = None, brackets: int = 1
) -> frozenset[int] | None:
    """The rungs: the smallest and its multiples by eta, short of the full budget."""
    step = min_step or _smallest(setting)
    found = []
    while step < setting.epochs:
        found.append(step)
        step *= eta
    return frozenset(found)


def should_prune(
    trial: Course,
    peers: Sequence[Course],
    setting: Setting,
    *,
    eta: Annotated[int, Field(ge=2, le=16)] = 3,
    min_step: Annotated[int, Field(ge=1)] | None = None,
    brackets: Annotated[int, Field(ge=1, le=5)] = 1,
) -> Verdict:
    """Judge at a rung; a trial of bracket b (its number modulo `brackets`) skips b rungs."""
    step = max(trial.values)
    steps = judged_steps(setting, eta=eta, min_step=min_step, brackets=brackets) or ()
    bracket = trial.number % brackets
    if step not in sorted(steps)[bracket:]:
        return Verdict()
    others = rivals(trial, [peer for peer in peers if peer.number % brackets == bracket], step)
    value = trial.values[step]
    reached = len(others) + 1
    if reached < eta:
        return Verdict()
    objective = setting.objective
    kept = sorted([*others, *([value] if isfinite(value) else [])], key=objective.key)
    bar = kept[reached // eta - 1]
    if isfinite(value) and not objective.is_better(bar, value):
        return Verdict()
    side = "below" if objective.direction == "maximize" else "above"
    reason = (
        f"{objective.metric} {value:.3f} at epoch {step} is {side} the best "
        f"{_SHARES.get(eta, f'1/{eta}')} of {reached} trials ({bar:.3f})"
    )
    return Verdict(action=Action.PRUNE, reason=reason)


def _smallest(setting: Setting) -> int:
    """About 1/17 of the budget (20 epochs: 2, 52 epochs: 3), past warm-up, 1 only if it must."""
    wanted = max(round(setting.epochs / 17), setting.warmup + 1, 2)
    return max(1, min(wanted, setting.epochs // 2))
