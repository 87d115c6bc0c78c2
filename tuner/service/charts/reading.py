"""What a chart of a study is read by."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from tuner.service.charts.selection import ChartSelection
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.tables import Study

ReadChart = Callable[[Session, Study, ChartSelection], Any]


def read(db: Database, study: int | str, selection: ChartSelection, reader: ReadChart) -> Any:
    """What a reader finds in a study at one moment. Raises NotFound, Unreadable, InvalidInput."""
    with db.snapshot() as session:
        return reader(session, studies.find(session, study), selection)
