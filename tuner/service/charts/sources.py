"""Where trials come from: what drew them, and in a population which one each goes on from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.service import documents, sources
from tuner.service.charts.selection import ChartSelection, numbers
from tuner.spec.sources import SourceView
from tuner.spec.states import TrialSource
from tuner.spec.study import Objective
from tuner.store import chart_rows, studies
from tuner.store.chart_rows import TrialOutline
from tuner.store.tables import Study


@dataclass(frozen=True, slots=True)
class Branch:
    """A copy: where it went on from its parent, and from what value."""

    trial: int
    parent: int
    step: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Sources:
    """Trials by number with their sources; `warm` are the ids of earlier studies by their name.

    `earning` are those sources that share the draws to come, where a reader asks for them.
    """

    objective: Objective
    trials: tuple[TrialOutline, ...]
    branches: tuple[Branch, ...]
    warm: Mapping[str, int | None]
    earning: tuple[SourceView, ...] = ()


def read(session: Session, study: Study, selection: ChartSelection) -> Sources:
    """The sources of the selected trials, within a transaction."""
    spec = documents.spec_of(study)
    only = numbers(session, study, spec, selection)
    trials = tuple(
        one for one in chart_rows.outlines(session, study.id) if only is None or one.number in only
    )
    parents = {one.number: one.parent for one in trials if one.source == TrialSource.COPY}
    starts = chart_rows.copied(session, study.id) if parents else {}
    return Sources(
        objective=spec.objective,
        trials=trials,
        branches=tuple(
            Branch(number, parent, *starts.get(number, (0, None)))
            for number, parent in parents.items()
            if parent is not None
        ),
        warm={name: _id_of(session, name) for name in spec.search.warm_start},
    )


def read_with_earnings(session: Session, study: Study, selection: ChartSelection) -> Sources:
    """The same with what each source has earned in the whole study."""
    found = read(session, study, selection)
    return replace(found, earning=sources.of_study(session, study))


def _id_of(session: Session, name: str) -> int | None:
    try:
        return studies.find(session, name).id
    except NotFound:
        return None
