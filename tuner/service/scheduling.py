"""Which study a worker is asked to work for: priority, then fair share, then age."""

from collections.abc import Sequence
from datetime import datetime

from tuner.service import endings, faults, rows
from tuner.spec.messages import Capabilities, LeaseRequest
from tuner.spec.states import StudyState
from tuner.spec.study import Resources, StudySpec
from tuner.store import studies, workers
from tuner.store.engine import Database
from tuner.store.tables import Study


def in_turn(db: Database, request: LeaseRequest) -> Sequence[tuple[int, StudySpec]]:
    """Studies to ask for a trial, by id: priority, then fair share by weight, then age."""
    now = db.now()
    with db.reading() as session:
        known = faults.read(workers.unfit(session, request.worker))
        fitting = [
            study
            for study in studies.list_open(session)
            if request.study in {None, study.name}
            and fits(rows.spec_of(study).resources, request.capabilities)
            and not faults.bars(known, study.id, now=now)
        ]
        loads = studies.load(session, [study.id for study in fitting])
    ready = [study for study in fitting if may_hand_out(study, loads[study.id], now=now)]
    ready.sort(
        key=lambda study: (-study.priority, loads[study.id].running / study.weight, study.id)
    )
    return [(study.id, rows.spec_of(study)) for study in ready]


def may_hand_out(study: Study, load: studies.Load, *, now: datetime) -> bool:
    """Whether an open study may have a trial to give: one that waits or stands at a rung, or one
    still to be drawn.
    """
    spec = rows.spec_of(study)
    return (
        StudyState(study.state) in studies.OPEN
        and load.running < spec.search.parallel
        and not endings.is_spent(study, spec, now=now)
        and (load.waiting > 0 or load.paused > 0 or endings.may_draw(study, spec))
    )


def fits(resources: Resources, capabilities: Capabilities) -> bool:
    """Whether a worker has what a study asks for."""
    device = capabilities.device
    if resources.gpus > 0 and device.kind == "cpu":
        return False
    if resources.memory_gb is not None and (device.memory_gb or 0) < resources.memory_gb:
        return False
    return resources.labels.items() <= capabilities.labels.items()
