"""Rung survival as a script draws it."""

from dataclasses import dataclass, replace

from tuner.service.charts.survival import Rung, Survival

_NAMED = 12  # stopped trials that a rung names


@dataclass(frozen=True, slots=True)
class SurvivalData:
    """The rungs, rising, each with the first of the trials that it stopped."""

    rungs: tuple[Rung, ...]
    began: int
    completed: int
    at_each: bool


def survival_data(found: Survival) -> SurvivalData:
    """Survival for a script."""
    rungs = tuple(replace(rung, trials=rung.trials[:_NAMED]) for rung in found.rungs)
    return SurvivalData(rungs, found.began, found.completed, found.at_each)
