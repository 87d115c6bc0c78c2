"""The kinds of event that a study's history is made of."""

from enum import StrEnum


class EventKind(StrEnum):
    """What an event tells; `docs/api.md` says what each carries."""

    STUDY_CREATED = "study.created"
    STUDY_CHANGED = "study.changed"  # another state, budget or priority; deleted, restored
    STUDY_WARNED = "study.warned"
    STUDY_FINISHED = "study.finished"  # it has ended, however it did
    TRIAL_CREATED = "trial.created"
    TRIAL_STARTED = "trial.started"
    TRIAL_REPORTED = "trial.reported"
    TRIAL_PAUSED = "trial.paused"
    TRIAL_WAITING = "trial.waiting"  # lost its worker, given back, promoted, or tried again
    TRIAL_ENDED = "trial.ended"
