"""How far trials came: what each rung let through, and what that saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy.orm import Session

from tuner.service import documents
from tuner.service.charts.selection import ChartSelection, numbers
from tuner.spec.states import TrialSource, TrialState
from tuner.store import chart_rows
from tuner.store.chart_rows import TrialOutline
from tuner.store.tables import Study

MOST_RUNGS = 16


@dataclass(frozen=True, slots=True)
class Rung:
    """Trials at an epoch where they are compared: of those that came, what each did then.

    `saved` are the epochs that those stopped here did not train, `seconds` what these would have
    taken at each trial's pace; `trials` are the numbers of the stopped ones.
    """

    epoch: int
    came: int
    passed: int
    stopped: int
    paused: int
    failed: int
    running: int
    saved: int
    seconds: float
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Survival:
    """The rungs of a study, rising, and how many trials were trained to their end.

    `at_each` is whether trials are compared at each epoch, so that a rung here stands for those
    from the one before on; `unfit` trials broke a bound before their first epoch.
    """

    rungs: tuple[Rung, ...]
    began: int
    completed: int
    unfit: int
    at_each: bool
    is_population: bool


def read(session: Session, study: Study, selection: ChartSelection) -> Survival:
    """The survival of the selected trials, within a transaction."""
    rules = documents.rules_of(study)
    only = numbers(session, study, rules.spec, selection)
    trials = [
        one
        for one in chart_rows.outlines(session, study.id)
        if (only is None or one.number in only) and one.source != TrialSource.CONFIRM
    ]
    known = None if rules.judged_steps is None else rules.rungs
    return survival(trials, known, is_population=bool(study.copies))


def survival(
    trials: Sequence[TrialOutline], rungs: Sequence[int] | None, *, is_population: bool = False
) -> Survival:
    """What each rung let through; where trials are compared at each epoch, of the usual epochs."""
    stops = sorted({one.step for one in trials if one.state in _HALTED and one.step > 0})
    edges = _edges(stops, rungs)
    began = [one for one in trials if one.step > 0]
    return Survival(
        rungs=tuple(_rung(began, before, edge) for before, edge in pairwise((0, *edges))),
        began=len(began),
        completed=sum(one.state == TrialState.COMPLETED for one in trials),
        unfit=sum(
            one.step == 0 and one.state == TrialState.PRUNED and one.feasible is False
            for one in trials
        ),
        at_each=rungs is None,
        is_population=is_population,
    )


_HALTED = (TrialState.PRUNED, TrialState.PAUSED)


def _edges(stops: Sequence[int], rungs: Sequence[int] | None) -> tuple[int, ...]:
    """Epochs of which a row is shown: the rungs, or of many epochs with stops evenly some."""
    found = sorted({*stops, *(rungs or ())})
    if len(found) <= MOST_RUNGS:
        return tuple(found)
    return tuple(found[(place + 1) * len(found) // MOST_RUNGS - 1] for place in range(MOST_RUNGS))


def _rung(trials: Sequence[TrialOutline], before: int, edge: int) -> Rung:
    """What trials did that came into the stretch of epochs up to a rung's."""
    came = [one for one in trials if one.step > before]
    here = [one for one in came if before < one.step <= edge]
    stopped = [one for one in here if one.state == TrialState.PRUNED]

    def count(*states: TrialState) -> int:
        return sum(one.state in states for one in here)

    return Rung(
        epoch=edge,
        came=len(came),
        passed=len(came) - len(here) + count(TrialState.COMPLETED),
        stopped=len(stopped),
        paused=count(TrialState.PAUSED),
        failed=count(TrialState.FAILED, TrialState.CANCELLED),
        running=count(TrialState.RUNNING, TrialState.WAITING),
        saved=sum(one.epochs - one.step for one in stopped),
        seconds=sum((one.epochs - one.step) * one.seconds / one.step for one in stopped),
        trials=tuple(one.number for one in stopped),
    )
