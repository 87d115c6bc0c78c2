"""What the server shows: the read models of API, dashboard, command line and Python client."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, Field

from tuner.spec.config import Section, TrialConfig
from tuner.spec.messages import ArtifactRef, Device, Verdict
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import Confirmation, Objective, Retention, StudySpec
from tuner.spec.upgrades import SPEC_VERSION
from tuner.spec.versions import DataVersion

T = TypeVar("T")


class Page(Section, Generic[T]):
    """One page of a list; `next` is the cursor of the following page, None on the last."""

    items: tuple[T, ...]
    next: str | None = None
    total: int | None = None


class TrialCounts(Section):
    """How many trials of a study are in each state."""

    waiting: int = 0
    running: int = 0
    paused: int = 0
    completed: int = 0
    pruned: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def ended(self) -> int:
        """Trials that have ended, however they did."""
        return self.completed + self.pruned + self.failed + self.cancelled

    @property
    def total(self) -> int:
        """Trials that exist."""
        return self.ended + self.waiting + self.running + self.paused


class StudySummary(Section):
    """A study as a list shows it."""

    id: int
    name: str
    state: StudyState
    reason: str = ""
    priority: int
    objective: Objective
    budget: int = Field(
        description="Trials that the study may have, with its confirmations and copies"
    )
    counts: TrialCounts
    epochs: int = Field(description="Epochs trained so far, all trials together")
    best_value: float | None = None
    best_trial: int | None = None
    base_value: float | None = Field(default=None, description="Result of trial 0, the base recipe")
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    waiting_for: str | None = Field(default=None, description="Why no worker can train it now")
    readable: bool = Field(default=True, description="Whether this release reads its document")
    device_seconds: float = 0.0
    epochs_saved: int = Field(default=0, description="Epochs that pruned trials did not train")
    seconds_saved: float = Field(default=0.0, description="Device time, at the pace of each trial")
    trend: tuple[tuple[int, float], ...] = Field(default=(), description="Best by ended trials")
    deleted_at: AwareDatetime | None = Field(default=None, description="It can be restored yet")
    owner: str | None = Field(default=None, description="Its owner and admins alone may change it")


class StudyView(StudySummary):
    """A study with its whole specification."""

    spec: StudySpec
    last_event: int = Field(default=0, description="Number of the latest event: follow from there")
    warnings: tuple[str, ...] = Field(default=(), description="What its owner should know")
    data_versions: tuple[DataVersion, ...] = Field(default=(), description="By appearance")


class TrialSummary(Section):
    """A trial as a table row shows it."""

    number: int
    state: TrialState
    params: dict[str, Any]
    value: float | None = Field(
        default=None,
        description="First objective at the last step, or at the best if the study counts that; "
        "final once completed",
    )
    value_step: int | None = Field(
        default=None, description="The step that value, values and metrics are of"
    )
    best_value: float | None = Field(default=None, description="Best value of any step so far")
    values: tuple[float, ...] | None = Field(default=None, description="All objectives, if known")
    step: int = 0
    epochs: int
    feasible: bool | None = None
    attempts: int = 0
    worker: str | None = None
    source: TrialSource = TrialSource.SAMPLER
    drawn_by: str | None = Field(default=None, description="Which of several samplers drew it")
    error: str | None = Field(default=None, description="In lists without the traceback")
    error_kind: str | None = None
    confirms: int | None = Field(
        default=None, description="The leader that this trial trains again with a fresh seed"
    )
    copies: int | None = Field(
        default=None, description="The trial from whose checkpoint this one went on, changed"
    )
    data_version: str | None = Field(
        default=None, description="Fingerprint of the data that it is trained on, once reported"
    )
    reason: str = ""
    metrics: dict[str, float] = Field(
        default_factory=dict,
        description="Of the step that counts; in lists those that were asked for",
    )
    seconds: float = 0.0
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class StepView(Section):
    """The metrics of one step."""

    step: int
    metrics: dict[str, float]
    seconds: float = 0.0
    attempt: int
    created_at: AwareDatetime


class AttemptView(Section):
    """One lease of a trial."""

    number: int
    worker: str
    device: Device = Field(default=Device(), description="What the worker trains on, as of now")
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    outcome: str | None = None
    error: str | None = None
    error_kind: str | None = None
    reason: str = Field(default="", description="Why its trial went where it did then")


class TrialView(TrialSummary):
    """A trial with everything known of it."""

    study_id: int
    study: str
    config: TrialConfig
    confusion: tuple[tuple[int, ...], ...] | None = None
    verdict: Verdict = Verdict()
    provenance: dict[str, Any] = Field(default_factory=dict)
    attempt_history: tuple[AttemptView, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()


class Curve(Section):
    """One metric of one trial over its steps."""

    trial: int
    state: TrialState
    steps: tuple[int, ...]
    values: tuple[float, ...]


class HistoryPoint(Section):
    """One ended trial in the order of ending, and the best value up to there."""

    trial: int
    state: TrialState
    value: float | None
    best: float | None
    epochs: int | None = Field(
        default=None, description="Epochs that the whole study had trained by then"
    )
    device_seconds: float | None = Field(default=None, description="And the time that they took")
    finished_at: AwareDatetime | None = None


class Ranked(Section):
    """A feasible completed trial by the metric that was asked for."""

    rank: int
    trial: int
    value: float
    own: float | None = Field(default=None, description="Its value of the study's first objective")


class ImportanceView(Section):
    """Which params made the difference, by one of two methods."""

    method: Literal["ped_anova", "fanova"] = Field(
        default="ped_anova",
        description="ped_anova: share in reaching the best tenth of trials; "
        "fanova: share in the variance over the whole space",
    )
    state: Literal["ready", "computing"] = Field(
        default="ready",
        description="computing: fANOVA was asked for and is not there yet; this is PED-ANOVA's",
    )
    objectives: tuple[Objective, ...]
    epoch: int = Field(
        description="Trials are compared by their values at this epoch; 0: at each one's last"
    )
    trials: int
    shares: dict[str, float] = Field(
        description="By path, the largest first. They add up to 1; fANOVA's lack what several "
        "params make together. Empty while there is no telling"
    )


class FrontStep(Section):
    """A feasible completed trial, and what all up to it dominate."""

    trial: int
    values: tuple[float, ...]
    on_front: bool = Field(description="Whether no other trial of the study beats it by now")
    hypervolume: float
    finished_at: AwareDatetime


class FrontView(Section):
    """A study's trials as points over its objectives, in the order of ending."""

    objectives: tuple[Objective, ...]
    reference: tuple[float, ...] = Field(
        description="The corner up to which volume counts; empty while no trial has completed"
    )
    hypervolume: float
    steps: tuple[FrontStep, ...]


class ConfirmedObjective(Section):
    """One of several objectives over the fresh seeds of a leader."""

    mean: float
    spread: float | None = Field(default=None, description="Standard deviation of one training")


class ConfirmedLeader(Section):
    """A leader of the search, trained again with fresh seeds."""

    trial: int
    searched: float = Field(description="Its value in the search: selected, and so too good")
    mean: float | None = Field(default=None, description="Mean over fresh seeds: what it ranks by")
    spread: float | None = Field(default=None, description="Standard deviation of one training")
    values: tuple[float, ...] = ()
    lost: int = Field(default=0, description="Trainings with a fresh seed that did not complete")
    feasible: bool | None = Field(
        default=None, description="Whether the mean over fresh seeds keeps every constraint"
    )
    objectives: dict[str, ConfirmedObjective] = Field(
        default_factory=dict, description="Of several objectives, each by its metric"
    )
    on_front: bool | None = Field(
        default=None,
        description="With several objectives: whether no other leader's means beat all of its own",
    )


class ConfirmationView(Section):
    """The leaders by rank; once `complete`, the first of them is the study's best."""

    complete: bool
    seeds: tuple[int, ...] = Field(description="The fresh seeds, the same for every leader")
    leaders: tuple[ConfirmedLeader, ...]
    lead: float | None = Field(
        default=None, description="Of the first over the second, over seeds that both completed"
    )
    pairs: int = 0
    p_value: float | None = Field(default=None, description="Paired t-test, two-sided")
    within_noise: bool | None = Field(
        default=None, description="Whether chance alone may well have made the lead (p > 0.05)"
    )
    verdict: str


class Best(Section):
    """The best feasible completed trial: `config` trains again to the same number.

    `metrics` are those of the trial itself, with the seed in `config`; what fresh seeds gave
    stands in `confirmation`.
    """

    study: str
    trial: int
    params: dict[str, Any]
    config: TrialConfig
    metrics: dict[str, float]
    provenance: dict[str, Any]
    confirmation: ConfirmationView | None = None
    spec_version: int = Field(
        default=SPEC_VERSION, description="Version of the language that `config` is written in"
    )


class Stage(Section):
    """Trials expected to be trained up to an epoch."""

    epoch: int
    trials: float


class Cost(Section):
    """What the epochs of a plan cost; hours are bounded by the study's own limits."""

    epoch_seconds: float
    source: str = Field(description="Where the time of an epoch is known from")
    workers: int
    device_hours: float | None = Field(
        default=None, description="As expected; None where the pruner's rule does not say"
    )
    worst_device_hours: float
    wall_hours: float | None = None
    worst_wall_hours: float


class Plan(Section):
    """What a study would do, without doing it."""

    spec: StudySpec
    sampler: str
    pruner: str
    trials: int
    epochs: int = Field(description="Epochs of one full training, the longest if searched")
    rungs: tuple[int, ...] = Field(description="Epochs at which trials are compared")
    stages: tuple[Stage, ...] = Field(
        default=(), description="Up to each rung and the full budget, where the pruner says so much"
    )
    expected_epochs: float | None = Field(
        default=None, description="Epochs of all trials, those of confirmation included"
    )
    worst_case_epochs: int = Field(description="The same if nothing is stopped early")
    confirm_epochs: int = 0
    cost: Cost | None = Field(default=None, description="None while an epoch's time is unknown")
    examples: tuple[TrialConfig, ...]


class Event(Section):
    """One change of a study; `seq` counts from 1 within the study without gaps."""

    seq: int
    kind: str
    trial: int | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: AwareDatetime


class StudyChange(Section):
    """What a user may change in a study that exists; what is left out stays as it is."""

    state: Literal["running", "paused", "cancelled"] | None = None
    priority: int | None = Field(default=None, ge=0, le=100)
    weight: float | None = Field(default=None, gt=0, le=1000)
    preemptible: bool | None = None
    keep: Retention | None = None
    trials: int | None = Field(default=None, ge=1, le=1_000_000)
    parallel: int | None = Field(default=None, ge=1, le=100_000)
    max_hours: float | None = Field(default=None, gt=0, description="null: no limit any more")
    max_wall_hours: float | None = Field(default=None, gt=0, le=1_000_000, description="As above")
    confirm: Confirmation | None = Field(
        default=None, description="Train the leaders again with fresh seeds, also afterwards"
    )


class CloneRequest(Section):
    """A copy of a study under a new name, with parts of its document replaced."""

    name: str | None = None
    changes: dict[str, Any] = Field(
        default_factory=dict, description="Top-level keys of the study that the copy sets anew"
    )


class TrialRequest(Section):
    """A trial by hand: these params, drawn or not."""

    params: dict[str, Any]
