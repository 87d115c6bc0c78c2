"""Our tables as a read-only Optuna storage.

`optuna.load_study(study_name="streets", storage=OptunaStorage(url))` opens a study for Optuna's
visualisation, importance and dashboard. Times are local, paths with alternatives have a name per
alternative (`optimizer.lr#0`), paused trials wait, and metrics of the step that counts are user
attributes.
"""

import copy
import logging
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.errors import NotFound, ReadOnly, Unreadable
from tuner.optuna_encoding import distributions
from tuner.spec.stored import read_spec
from tuner.spec.study import StudySpec
from tuner.store import leases, reports, studies
from tuner.store.engine import Database
from tuner.store.migrate import require_current
from tuner.store.optuna_trials import directions, frozen_trial
from tuner.store.tables import Study, Trial

logger = logging.getLogger(__name__)
_PART = 500  # trials read in one query; databases limit the length of IN


class _Version(NamedTuple):
    """What differs whenever a trial's frozen form could differ."""

    revision: int
    step: int


def _refused(what: str) -> Callable[..., NoReturn]:
    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        raise ReadOnly(
            f"OptunaStorage cannot {what}: it shows what the server knows and changes nothing; "
            "use the server's API, or copy the study with optuna.copy_study"
        )

    return refuse


class OptunaStorage(BaseStorage):
    """Every study of a segtune database, for reading.

    Safe for threads, and can be pickled. A trial is read again only after it changed, so that
    asking for all trials of a large study is cheap the second time.
    """

    def __init__(self, url: str) -> None:
        """Open the database of that URL. Raises StorageError."""
        require_current(url)
        self._url = url
        self._open()

    def _open(self) -> None:
        self._db = Database(self._url)
        self._lock = threading.Lock()
        self._frozen: dict[int, tuple[_Version, FrozenTrial]] = {}

    def __getstate__(self) -> dict[str, str]:
        """Only the URL travels to another process."""
        return {"_url": self._url}

    def __setstate__(self, state: dict[str, str]) -> None:
        """Connect anew."""
        self._url = state["_url"]
        self._open()

    def remove_session(self) -> None:
        """Close every connection."""
        self._db.dispose()

    def get_study_id_from_name(self, study_name: str) -> int:
        """The study's id. Raises KeyError."""
        with self._db.reading() as session:
            known = select(Study.id).where(Study.name == study_name, Study.deleted_at.is_(None))
            study_id = session.scalar(known)
        if study_id is None:
            raise KeyError(f"no study is called '{study_name}'")
        return study_id

    def get_study_name_from_id(self, study_id: int) -> str:
        """The study's name. Raises KeyError."""
        with self._study(study_id) as (_, study):
            return study.name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """One direction per objective. Raises KeyError."""
        with self._study(study_id) as (_, study):
            return directions(_spec(study))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """State, reason and document of the study. Raises KeyError."""
        with self._study(study_id) as (_, study):
            return _study_attrs(study)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Names of the objectives, where Optuna looks for them. Raises KeyError."""
        with self._study(study_id) as (_, study):
            return _objective_names(_spec(study))

    def get_all_studies(self) -> list[FrozenStudy]:
        """Every study that can be read, by id; of another one the log tells."""
        with self._db.reading() as session:
            shown = select(Study).where(Study.deleted_at.is_(None))
            rows = session.scalars(shown.order_by(Study.id)).all()
        found = list[FrozenStudy]()
        for study in rows:
            try:
                found.append(_frozen_study(study))
            except Unreadable as error:
                logger.warning("study %s is left out: %s", study.name, error)
        return found

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial of that id. Raises KeyError."""
        with self._db.reading() as session:
            trial = session.get(Trial, trial_id)
            study = None if trial is None else session.get(Study, trial.study_id)
            if trial is None or study is None or study.deleted_at is not None:
                raise KeyError(f"no trial has the id {trial_id}")
            self._refresh(session, study, {trial.id: _Version(trial.revision, trial.step)})
        return self._frozen[trial_id][1]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[OptunaState] | None = None,
    ) -> list[FrozenTrial]:
        """The study's trials by number. Raises KeyError."""
        with self._study(study_id) as (session, study):
            found = session.execute(
                select(Trial.id, Trial.revision, Trial.step)
                .where(Trial.study_id == study_id)
                .order_by(Trial.number)
            )
            versions = {row.id: _Version(row.revision, row.step) for row in found}
            self._refresh(session, study, versions)
        chosen = [self._frozen[trial_id][1] for trial_id in versions if trial_id in self._frozen]
        if states is not None:
            chosen = [trial for trial in chosen if trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Refuse; a name that exists is told apart, so that `load_if_exists` works.

        Raises:
            DuplicatedStudyError: there is such a study.
            ReadOnly: there is none.
        """
        with self._db.reading() as session:
            if study_name and studies.names_like(session, study_name) & {study_name}:
                raise DuplicatedStudyError(f"a study named '{study_name}' exists")
        _refused("create a study")(self)

    delete_study = _refused("delete a study")
    set_study_user_attr = _refused("set an attribute of a study")
    set_study_system_attr = _refused("set an attribute of a study")
    create_new_trial = _refused("create a trial")
    set_trial_param = _refused("set a param")
    set_trial_state_values = _refused("end a trial")
    set_trial_intermediate_value = _refused("report a value")
    set_trial_user_attr = _refused("set an attribute of a trial")
    set_trial_system_attr = _refused("set an attribute of a trial")

    @contextmanager
    def _study(self, study_id: int) -> Iterator[tuple[Session, Study]]:
        with self._db.reading() as session:
            try:
                study = studies.find(session, study_id)
            except NotFound as error:
                raise KeyError(str(error)) from None
            yield session, study

    def _refresh(self, session: Session, study: Study, versions: Mapping[int, _Version]) -> None:
        """Read what changed; trials given out before stay as they were."""
        with self._lock:
            stale = [
                trial_id
                for trial_id, version in versions.items()
                if trial_id not in self._frozen or self._frozen[trial_id][0] != version
            ]
            for start in range(0, len(stale), _PART):
                for trial, frozen in _read(session, study, stale[start : start + _PART]):
                    self._frozen[trial.id] = (_Version(trial.revision, trial.step), frozen)


def _read(
    session: Session, study: Study, trial_ids: Sequence[int]
) -> Iterator[tuple[Trial, FrozenTrial]]:
    spec = _spec(study)
    known = distributions(spec.space)
    # Trials before their reports: a step that arrives in between is then read again next time.
    rows = session.scalars(select(Trial).where(Trial.id.in_(trial_ids))).all()
    steps = reports.values_of(session, trial_ids)
    workers = leases.holders(session, trial_ids)
    for trial in rows:
        frozen = frozen_trial(
            trial, spec, known=known, worker=workers.get(trial.id), steps=steps[trial.id]
        )
        yield trial, frozen


def _spec(study: Study) -> StudySpec:
    return read_spec(study.spec, f"study '{study.name}' (id {study.id})")


def _frozen_study(study: Study) -> FrozenStudy:
    spec = _spec(study)
    return FrozenStudy(
        study_name=study.name,
        direction=None,
        directions=directions(spec),
        user_attrs=_study_attrs(study),
        system_attrs=_objective_names(spec),
        study_id=study.id,
    )


def _study_attrs(study: Study) -> dict[str, Any]:
    return {"state": study.state, "reason": study.reason, "spec": study.spec}


def _objective_names(spec: StudySpec) -> dict[str, Any]:
    return {"study:metric_names": [objective.metric for objective in spec.objectives]}
