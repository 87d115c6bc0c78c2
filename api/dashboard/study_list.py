"""All that the list of studies shows, read and folded."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from api.dashboard import facts
from tuner.service import overview
from tuner.service.storage import Database
from tuner.spec.states import StudyState
from tuner.spec.views import StudySummary
from tuner.wording import improvement

_ORDER = ("completed", "pruned", "failed", "cancelled", "running", "paused", "waiting")


@dataclass(frozen=True, slots=True)
class Row:
    """A study with what its row adds."""

    study: StudySummary
    counts: Mapping[str, int]
    gain: float | None
    tone: str


@dataclass(frozen=True, slots=True)
class StudyList:
    """Context of the templates `studies.html` and `studies_live.html`."""

    rows: tuple[Row, ...]
    state: StudyState | None
    states: tuple[StudyState, ...]
    first: str | None
    older: str | None
    live: str


def study_list(db: Database, state: StudyState | None, cursor: str | None) -> StudyList:
    """A page of studies, newest first. Raises InvalidInput."""
    page = overview.studies(db, state=state, cursor=cursor)
    return StudyList(
        rows=tuple(map(_row, page.items)),
        state=state,
        states=tuple(StudyState),
        first=_address("/", state, None) if cursor else None,
        older=_address("/", state, page.next) if page.next else None,
        live=_address("/partials/studies", state, cursor),
    )


def state_counts(study: StudySummary) -> Mapping[str, int]:
    """Trials by state, in the order in which bars and filters show them."""
    return {state: getattr(study.counts, state) for state in _ORDER}


def _row(study: StudySummary) -> Row:
    gain = improvement(study.best_value, study.base_value)
    return Row(study, state_counts(study), gain, facts.tone(study.objective, gain))


def _address(path: str, state: StudyState | None, cursor: str | None) -> str:
    asked = {"state": state and state.value, "cursor": cursor}
    given = {name: value for name, value in asked.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
