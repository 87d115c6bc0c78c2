"""All that server and worker say to each other."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, field_validator

from tuner.spec.config import Section, TrialConfig
from tuner.spec.deployment import Deployment
from tuner.spec.examples import EXAMPLES
from tuner.spec.kinds import MOST_GPUS, MOST_SLOTS, DeviceKind, ErrorKind
from tuner.spec.vitals import LogTail

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
WorkerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$")]
Step = Annotated[int, Field(ge=1, le=100_000)]
MetricName = Annotated[str, Field(min_length=1, max_length=300)]
ConfusionMatrix = tuple[tuple[int, ...], ...]
# Header of an answer without a trial; a body would be refused by workers of the release before.
DRAINED = "Segtune-Drained"
# Bytes from which on a file is asked for and resumed: one request more costs a small one more time.
RESUMABLE = 8 * 2**20
_MOST_PIXELS = 2**63 - 1  # what a count may be: an int64
_MOST_REPORTS = 1000  # of a batch
_LONGEST_STEP = 1e8  # seconds, three years: sums of them stay finite


class Action(StrEnum):
    """What a worker does next with its trial."""

    CONTINUE = "continue"
    PAUSE = "pause"  # stop at this rung, hand in the checkpoint; the trial may be promoted
    PRUNE = "prune"  # stop for good: the trial is not worth more
    STOP = "stop"  # stop for good: the study or the trial was ended by a user or its budget
    YIELD = "yield"  # stop, hand in the checkpoint; another worker goes on

    @property
    def outcome(self) -> "OutcomeKind | None":
        """How an attempt ends that obeys; None where it goes on."""
        return _OUTCOMES.get(self)


class Verdict(Section):
    """The reply to a report or heartbeat, with its reason in words and numbers."""

    action: Action = Action.CONTINUE
    reason: str = ""


class OutcomeKind(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"  # trained to its full budget
    PRUNED = "pruned"  # obeyed `prune`
    PAUSED = "paused"  # obeyed `pause`
    STOPPED = "stopped"  # obeyed `stop`
    YIELDED = "yielded"  # gave the trial back, by verdict or because the worker shuts down
    FAILED = "failed"  # the trial itself cannot succeed: exception, divergence, data, memory
    CRASHED = "crashed"  # the trainer process died; another attempt may succeed
    HUNG = "hung"  # the trainer made no progress and was killed; another attempt may succeed
    OUTDATED = "outdated"  # its earlier epochs saw other data than there are now: it starts again
    LOST = "lost"  # said by the server only: the lease ended without an outcome


_OUTCOMES = {
    Action.PAUSE: OutcomeKind.PAUSED,
    Action.PRUNE: OutcomeKind.PRUNED,
    Action.STOP: OutcomeKind.STOPPED,
    Action.YIELD: OutcomeKind.YIELDED,
}


class Unfitness(StrEnum):
    """What keeps a worker from a trial that another worker may well train: its surroundings.

    It is the `error_kind` of an attempt that gave its trial back (`yielded`) for such a reason.
    """

    DATA = "data_unavailable"  # the data set's files are not there, or not readable
    WEIGHTS = "weights_unavailable"  # published weights cannot be had
    PACKAGE = "package_missing"  # a package of an extra is not installed
    MACHINE = "machine"  # a full disk, a missing permission, no memory to load with
    DEVICE = "device"  # the GPU is gone, or broken
    TRAINER = "trainer"  # the trainer process does not start


class Device(Section):
    """One accelerator, or the CPU, of a worker."""

    kind: str = DeviceKind.CPU  # one of `DeviceKind`
    index: int = 0
    name: str = ""
    memory_gb: float | None = None


class Capabilities(Section):
    """What a worker can do; sent with each request for work."""

    hostname: str = ""
    device: Device = Device()
    cpus: int = 1
    gpus: Annotated[int, Field(ge=1, le=MOST_GPUS)] = Field(
        default=1,
        exclude_if=lambda value: value == 1,  # servers of the release before do not know it
        description="Devices that it trains a trial on at once, if a study asks for so many",
    )
    slots: Annotated[int, Field(ge=1, le=MOST_SLOTS)] = Field(
        default=1,
        exclude_if=lambda value: value == 1,  # servers of the release before do not know it
        description="Trials that it may train at once now, as far as memory allows",
    )
    labels: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    plugins: dict[str, str] = Field(
        default_factory=dict,
        exclude_if=lambda value: not value,  # servers of the release before do not know it
        description="Versions of the packages whose components it may use",
    )


class LeaseRequest(Section):
    """A worker asks for a trial, and waits up to `wait` seconds for one."""

    worker: WorkerName
    capabilities: Capabilities = Capabilities()
    wait: Annotated[float, Field(ge=0, le=30)] = 0
    unfit: str | None = Field(
        default=None,
        max_length=20_000,
        description="Why the worker can train nothing now; it is noted, and gets no trial",
    )
    study: str | None = Field(default=None, description="Only trials of this study, by name")


class ArtifactRef(Section):
    """A stored file, as its owner sees it."""

    id: int
    name: str
    kind: str  # one of `ArtifactKind`
    size: int
    sha256: Sha256
    step: int | None = None


class BestStep(Section):
    """A step of a trial that is its best so far, and its value of the first objective there."""

    step: Step
    value: float


class Assignment(Section):
    """The right to train a trial, and all that is needed to do so."""

    lease: str
    token: str
    study: str
    study_id: int
    trial: int
    attempt: int
    config: TrialConfig
    metrics: tuple[str, ...] = Field(default=(), description="Metrics that the study uses")
    resume: ArtifactRef | None = None
    last_step: int = Field(default=0, description="Last step that reached the store")
    best: BestStep | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # workers of the release before do not know it
        description="The best of them, where the model is to be that of the best epoch; only steps "
        "of the training at hand",
    )
    data_version: str | None = Field(
        default=None, description="Fingerprint of the data that its steps so far were trained on"
    )
    threads: int | None = Field(
        default=None,
        description="CPU threads that it began with, where its numbers depend on them; "
        "None: the worker's own",
    )
    steps: int | None = Field(
        default=None,
        description="Steps that the whole training counts as, each step some epochs of it; "
        "None: a step is an epoch",
    )
    measure: Deployment | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # workers of the release before do not know it
        description="Where to measure what its network costs, before the first step; "
        "None: nothing to measure",
    )
    gpus: int = Field(
        default=1,
        exclude_if=lambda value: value == 1,  # workers of the release before do not know it
        description="Devices that share each batch",
    )
    examples: int = Field(
        default=EXAMPLES,
        exclude_if=lambda value: value == EXAMPLES,  # workers of the release before do not know it
        description="Validation images whose predictions to hand in with each evaluation",
    )
    expires_at: AwareDatetime
    lease_seconds: float


class Report(Section):
    """The metrics of one step (epoch)."""

    step: Step
    metrics: Annotated[dict[MetricName, float], Field(max_length=10_000)]
    confusion: ConfusionMatrix | None = Field(
        default=None,
        description="K×K counts from 0 to 2⁶³ - 1, rows are labels, columns are predictions",
    )
    seconds: Annotated[float, Field(ge=0, le=_LONGEST_STEP)] = 0.0
    data: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Fingerprint of the data that it was trained and scored on",
    )

    @field_validator("confusion")
    @classmethod
    def _check_counts(cls, confusion: ConfusionMatrix | None) -> ConfusionMatrix | None:
        """Refuse what is not a square of int64 counts, at the first row that is wrong."""
        for number, row in enumerate(confusion or ()):
            if len(row) != len(confusion or ()):
                raise ValueError(
                    f"row {number} has {len(row)} counts and the matrix {len(confusion or ())} "
                    "rows; send as many rows as columns, one for each class"
                )
            if min(row) < 0 or max(row) > _MOST_PIXELS:
                wrong = next(count for count in row if not 0 <= count <= _MOST_PIXELS)
                raise ValueError(
                    f"row {number} holds {wrong}; a count of pixels is between 0 and 2**63 - 1"
                )
        if confusion == ():
            raise ValueError("the matrix has no rows; leave it out, or send one for each class")
        return confusion


class ReportBatch(Section):
    """Reports in rising order of step; steps already stored are ignored."""

    reports: Annotated[tuple[Report, ...], Field(min_length=1, max_length=_MOST_REPORTS)]

    @field_validator("reports", mode="before")
    @classmethod
    def _check_number(cls, reports: object) -> object:
        """Refuse too many before each is read."""
        if isinstance(reports, list) and len(reports) > _MOST_REPORTS:
            raise ValueError(f"a batch has {_MOST_REPORTS} reports at most, not {len(reports)}")
        return reports


class Outcome(Section):
    """How an attempt ended, in the worker's words."""

    kind: OutcomeKind
    step: Annotated[int, Field(ge=0)] = 0
    error: str | None = Field(default=None, max_length=20_000)
    error_kind: str | None = Field(
        default=None,
        max_length=32,
        description=f"{' | '.join(ErrorKind)}; of a trial that was given back for the worker's "
        f"surroundings: {' | '.join(kind for kind in Unfitness if kind is not Unfitness.TRAINER)}",
    )
    provenance: dict[str, Any] = Field(
        default_factory=dict, description="Data fingerprint, versions, device, micro-batch"
    )
    log: LogTail | None = Field(
        default=None,
        exclude_if=lambda value: value is None,  # servers of the release before do not know it
        description="The trainer's last output: 200 lines and 16 KiB are kept",
    )

    @property
    def unfitness(self) -> Unfitness | None:
        """What of the worker's surroundings made it give the trial back, if that was the reason."""
        if self.kind is not OutcomeKind.YIELDED or self.error_kind not in set(Unfitness):
            return None
        return Unfitness(str(self.error_kind))


class LeaseStatus(Section):
    """The reply to a heartbeat or a batch of reports."""

    verdict: Verdict
    expires_at: AwareDatetime
    stored: int = 0
