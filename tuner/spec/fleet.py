"""What the server shows of workers, of what they have lost, and of what waits for them."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from tuner.spec.config import Section
from tuner.spec.messages import Capabilities
from tuner.spec.states import StudyState, TrialState
from tuner.spec.vitals import Usage

Loss = Literal["lost", "crashed", "hung"]
WorkerState = Literal["busy", "draining", "idle", "drained", "unfit", "gone"]


class WorkerView(Section):
    """A worker and what it is doing."""

    name: str
    state: WorkerState
    unfit_reason: str | None = Field(
        default=None,
        description="What in its surroundings keeps it from a study, or from all; it tries again "
        "by itself",
    )
    drained_at: AwareDatetime | None = Field(
        default=None, description="Since when a user lets it have no further trial"
    )
    capabilities: Capabilities
    study: str | None = Field(default=None, description="Of the trial that it took last")
    study_id: int | None = None
    trial: int | None = None
    running: int = Field(default=0, description="Trials that it holds")
    step: int | None = Field(default=None, description="Epochs that its trial is trained for")
    epochs: int | None = Field(default=None, description="Of so many")
    images_per_second: float | None = Field(
        default=None, description="In the last epochs of its trials, together"
    )
    usage: Usage | None = Field(
        default=None, description="Of its device, at the last heartbeat of its trial"
    )
    lost: int = Field(default=0, description="Attempts that it has lost: see LostTrial")
    first_seen_at: AwareDatetime
    last_seen_at: AwareDatetime
    trials_done: int = 0

    @property
    def version(self) -> str | None:
        """The release of segtune that it runs."""
        return self.capabilities.versions.get("segtune")


class LostTrial(Section):
    """An attempt that ran out, or whose trainer died or hung, and what happened to its trial."""

    worker: str
    study: str
    study_id: int
    trial: int
    attempt: int
    outcome: Loss
    error: str | None = Field(default=None, description="The first line of what was reported")
    started_at: AwareDatetime
    ended_at: AwareDatetime
    state: TrialState = Field(description="Where the trial stands now")
    reason: str = ""
    step: int
    epochs: int
    next_attempt: int | None = Field(default=None, description="The attempt that went on")
    next_worker: str | None = None


class LogView(Section):
    """The end of an attempt's log."""

    attempt: int
    worker: str
    text: str = Field(description="Its last 200 lines, 16 KiB at most")
    updated_at: AwareDatetime | None = Field(
        default=None, description="None: its worker has sent none"
    )
    ended_at: AwareDatetime | None = None


class Why(StrEnum):
    """Why a study's next trial is not with a worker."""

    NEXT = "next"  # a worker that fits is free, and gets it when it asks
    BEHIND = "behind"  # workers that fit are free, but other studies come first
    BUSY = "busy"  # every worker that fits is busy
    PREEMPTING = "preempting"  # so they are, and trials of lower priority are making room
    NO_WORKER = "no_worker"  # no worker that is there fits: `detail` says what is missing
    AT_RUNG = "at_rung"  # all is drawn, and nothing that is paused may go on yet
    PARALLEL = "parallel"  # as many trials run as may at once
    DRAWN = "drawn"  # all is drawn: it ends with what runs
    SPENT = "spent"  # its hours are used up
    OWNER_SPENT = "owner_spent"  # the hours of its owner are used up
    MAINTENANCE = "maintenance"  # an admin lets nobody have a trial
    PAUSED = "paused"  # by a user
    UNREADABLE = "unreadable"  # its document cannot be read by this release


class QueueEntry(Section):
    """A study that is not over: what of it waits, and why."""

    place: int | None = Field(
        description="Its turn when a worker asks that fits; None while it hands out nothing"
    )
    study: str
    study_id: int
    state: StudyState
    priority: int
    weight: float
    waiting: int = Field(description="Trials that wait for a worker")
    running: int
    paused: int = Field(description="Trials at a rung, which may be promoted")
    left: int = Field(description="Trials that are still to be drawn")
    ready: int = Field(
        default=0, description="Trials that as many more workers that fit would be given now"
    )
    preempting: int = Field(
        default=0, description="Running trials of lower priority that were asked to make room"
    )
    parallel: int
    share: float = Field(description="Running trials by weight: of one priority the least is first")
    why: Why
    reason: str = Field(description="The same in words")
    detail: str = ""
    workers: tuple[str, ...] = Field(default=(), description="Those there that fit")
    free: tuple[str, ...] = Field(default=(), description="Those of them that take a trial next")
    behind: tuple[str, ...] = Field(
        default=(), description="Studies that the same workers would be asked for first"
    )


class QueueView(Section):
    """Studies in the order in which workers are given their trials."""

    entries: tuple[QueueEntry, ...]
    workers: int = Field(description="Workers that are there")
    free: tuple[str, ...] = Field(description="Those of them that could take a trial now")

    @property
    def ready(self) -> int:
        """Trials that workers would be given now, if there were enough that fit."""
        return sum(entry.ready for entry in self.entries)


class QueueDepth(Section):
    """The queue in numbers, for what starts and ends workers."""

    ready: int = Field(
        description="Trials that workers would be given now, if there were enough that fit"
    )
    running: int = Field(description="Trials that workers hold, also of studies that are paused")
    workers: int = Field(description="Workers that are there")
    free: int = Field(description="Those of them that could take a trial now")
