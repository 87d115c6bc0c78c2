"""States of studies and trials and the moves between them; where trials come from."""

from enum import StrEnum


class StudyState(StrEnum):
    """Where a study stands."""

    QUEUED = "queued"  # submitted, no worker has taken a trial yet
    RUNNING = "running"  # trials are drawn and trained
    PAUSED = "paused"  # no new leases; running trials were asked to yield
    FINISHED = "finished"  # the budget is spent and every trial has ended
    CANCELLED = "cancelled"  # ended by a user
    FAILED = "failed"  # ended by the server, because its trials cannot succeed

    @property
    def has_ended(self) -> bool:
        """Whether no trial of the study will be trained, unless its budget grows."""
        return self in {StudyState.FINISHED, StudyState.CANCELLED, StudyState.FAILED}

    def may_become(self, new: "StudyState") -> bool:
        """Whether `new` may follow; staying put is not a move."""
        return new in STUDY_MOVES[self]


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"  # has its params, has no worker
    RUNNING = "running"  # a worker holds a lease on it
    PAUSED = "paused"  # waits at a rung with its checkpoint, to be promoted or not
    COMPLETED = "completed"  # trained to its full budget
    PRUNED = "pruned"  # stopped early: its reports are true, its budget is not used up
    FAILED = "failed"  # ended by an error, or ran out of attempts
    CANCELLED = "cancelled"  # ended by a user

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is trained of the trial, unless a user has it tried again."""
        return self in {
            TrialState.COMPLETED,
            TrialState.PRUNED,
            TrialState.FAILED,
            TrialState.CANCELLED,
        }

    def may_become(self, new: "TrialState") -> bool:
        """Whether `new` may follow; staying put is not a move."""
        return new in TRIAL_MOVES[self]

    @classmethod
    def known(cls, name: str) -> "TrialState":
        """The state of that name; one that this release does not know counts as failed."""
        try:
            return cls(name)
        except ValueError:
            return cls.FAILED


class TrialSource(StrEnum):
    """Where a trial's params come from."""

    BASE = "base"  # the study's base recipe itself, unchanged
    SAMPLER = "sampler"  # drawn by the study's sampler
    PRIOR = "prior"  # drawn near the study's prior
    WARM = "warm"  # drawn near the best of an earlier study
    USER = "user"  # asked for by hand
    CONFIRM = "confirm"  # a leader once more, with a fresh seed
    COPY = "copy"  # goes on from another trial's checkpoint, with some values changed
    IMPORT = "import"  # trained elsewhere


STUDY_MOVES: dict[StudyState, frozenset[StudyState]] = {
    StudyState.QUEUED: frozenset(
        {StudyState.RUNNING, StudyState.PAUSED, StudyState.CANCELLED, StudyState.FAILED}
    ),
    StudyState.RUNNING: frozenset(
        {StudyState.PAUSED, StudyState.FINISHED, StudyState.CANCELLED, StudyState.FAILED}
    ),
    StudyState.PAUSED: frozenset(
        {StudyState.RUNNING, StudyState.FINISHED, StudyState.CANCELLED, StudyState.FAILED}
    ),
    StudyState.FINISHED: frozenset({StudyState.RUNNING}),  # by a larger budget
    StudyState.CANCELLED: frozenset(),
    StudyState.FAILED: frozenset(),
}

TRIAL_MOVES: dict[TrialState, frozenset[TrialState]] = {
    TrialState.WAITING: frozenset(
        {TrialState.RUNNING, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED}
    ),
    TrialState.RUNNING: frozenset(
        {
            TrialState.WAITING,
            TrialState.PAUSED,
            TrialState.COMPLETED,
            TrialState.PRUNED,
            TrialState.FAILED,
            TrialState.CANCELLED,
        }
    ),
    TrialState.PAUSED: frozenset({TrialState.WAITING, TrialState.PRUNED, TrialState.CANCELLED}),
    TrialState.COMPLETED: frozenset(),
    TrialState.PRUNED: frozenset(),
    TrialState.FAILED: frozenset({TrialState.WAITING}),  # tried again by a user
    TrialState.CANCELLED: frozenset(),
}
