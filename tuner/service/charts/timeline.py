"""Which worker trained which trial when."""

from sqlalchemy.orm import Session

from tuner.service import documents
from tuner.service.charts.selection import ChartSelection, numbers
from tuner.store import chart_rows
from tuner.store.chart_rows import AttemptRow
from tuner.store.tables import Study


def read(session: Session, study: Study, selection: ChartSelection) -> tuple[AttemptRow, ...]:
    """Attempts of the selected trials in the order of their beginning, within a transaction."""
    only = numbers(session, study, documents.spec_of(study), selection)
    found = chart_rows.attempts(session, study.id)
    return tuple(one for one in found if only is None or one.trial in only)
