"""Every trial of a study, and of others beside it, for charts of how params and results relate."""

from tuner.service import documents
from tuner.service.trial_fields import TrialFields
from tuner.service.trial_points import PointSelection, StudyPoints, beside, points_of
from tuner.store import studies, trial_cells
from tuner.store.engine import Database


def study_points(db: Database, study: int | str, asked: PointSelection) -> tuple[StudyPoints, ...]:
    """The trials of a study's search, and after them those of the studies beside it.

    Raises:
        NotFound: no such study.
        InvalidInput: the filter cannot be read, or no metric is called so.
    """
    with db.snapshot() as session:
        own = points_of(session, studies.find(session, study), asked)
        return (own, *beside(session, own, asked))


def trial_fields(db: Database, study: int | str) -> TrialFields:
    """What filters of a study's trials may name. Raises NotFound."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        return TrialFields(documents.spec_of(row), trial_cells.reported(session, row.id))
