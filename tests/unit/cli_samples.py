"""A scripted client and views for the tests of the command line."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.unit.samples import study
from tuner.configs.resolve import resolve
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import Objective
from tuner.spec.views import (
    Best,
    ConfirmationView,
    ConfirmedLeader,
    Cost,
    Event,
    FrontView,
    Plan,
    Stage,
    StudyView,
    TrialCounts,
    TrialSummary,
    TrialView,
)

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def view(**changes: Any) -> StudyView:
    """A running study with some trials behind it."""
    spec = study()
    values: dict[str, Any] = {
        "id": 7,
        "name": spec.name,
        "state": StudyState.RUNNING,
        "priority": spec.priority,
        "objective": spec.objective,
        "budget": 20,
        "counts": TrialCounts(completed=3, pruned=2, running=1),
        "epochs": 75,
        "epochs_saved": 25,
        "best_value": 0.5,
        "best_trial": 2,
        "base_value": 0.4,
        "created_at": NOON,
        "started_at": NOON,
        "spec": spec,
    }
    return StudyView.model_validate({**values, **changes})


def trial(number: int, **changes: Any) -> TrialSummary:
    """A running trial."""
    values: dict[str, Any] = {
        "number": number,
        "state": TrialState.RUNNING,
        "params": {"optimizer.lr": 0.012345, "optimizer.name": "sgd"},
        "value": 0.42,
        "step": 5,
        "epochs": 20,
        "worker": "w-1",
        "created_at": NOON,
    }
    return TrialSummary.model_validate({**values, **changes})


def best() -> Best:
    """A best configuration whose lead over the second fresh seeds did not bear out."""
    config = resolve(study().base, study().dataset, {})
    leaders = (
        ConfirmedLeader(trial=2, searched=0.5, mean=0.48, spread=0.012, values=(0.47, 0.49)),
        ConfirmedLeader(trial=5, searched=0.52, mean=0.47, values=(0.47,), lost=1),
    )
    return Best(
        study="streets",
        trial=2,
        params={},
        config=config,
        metrics={"miou": 0.5},
        provenance={},
        confirmation=ConfirmationView(
            complete=True, seeds=(11, 12), leaders=leaders, verdict="within the noise"
        ),
    )


def event(seq: int, kind: str, number: int | None = None, **data: Any) -> Event:
    """One event of a study."""
    return Event(seq=seq, kind=kind, trial=number, data=data, created_at=NOON)


class ScriptedClient:
    """Answers from lists: each call of `study` gives the next view, the last one for ever."""

    def __init__(
        self,
        views: Sequence[StudyView],
        *,
        events: Sequence[Event] = (),
        trials: Sequence[TrialSummary] = (),
    ) -> None:
        self.views = list(views)
        self.script = tuple(events)
        self.running = tuple(trials)
        self.submitted: list[Any] = []
        self.whole: TrialView | None = None

    def study(self, study: int | str) -> StudyView:
        """The next view."""
        return self.views.pop(0) if len(self.views) > 1 else self.views[0]

    def trials(self, study: int | str, **query: Any) -> Iterator[TrialSummary]:
        """The scripted trials."""
        return iter(self.running)

    def trial(self, study: int | str, number: int) -> TrialView:
        """The scripted trial with all that is known of it."""
        assert self.whole is not None
        return self.whole

    def events(self, study: int | str, after: int = 0) -> Iterator[Event]:
        """The scripted events; the stream has no end of its own."""
        yield from self.script
        raise AssertionError("the command reads on after the study has ended")

    def studies(self, **query: Any) -> Iterator[StudyView]:
        """The study, alone."""
        return iter(self.views[:1])

    def delete(self, study: int | str, *, cancel: bool = False) -> None:
        """Nothing is left to answer."""

    def restore(self, study: int | str) -> StudyView:
        """The study, as it was."""
        return self.views[0]

    def best(self, study: int | str, *, objective: str | None = None) -> Best:
        """The best configuration, confirmed."""
        return best()

    def pareto(self, study: int | str) -> tuple[TrialSummary, ...]:
        """The scripted trials."""
        return self.running

    def front(self, study: int | str, *, reference: Any = None) -> FrontView:
        """A front over two objectives."""
        objectives = (Objective(metric="miou"), Objective(metric="iou.car"))
        corner = tuple(reference or (0.1, 0.2))
        return FrontView(objectives=objectives, reference=corner, hypervolume=0.25, steps=())

    def plan(
        self, document: Any, *, epoch_seconds: float | None = None, workers: int | None = None
    ) -> Plan:
        """A plan of nine trials, priced if an epoch's time is given."""
        cost = Cost(
            epoch_seconds=epoch_seconds or 1,
            source="as given",
            workers=workers or 8,
            device_hours=0.5,
            worst_device_hours=1.25,
            wall_hours=0.25,
            worst_wall_hours=0.5,
        )
        return Plan(
            spec=study(),
            sampler="tpe",
            pruner="promote",
            trials=9,
            epochs=20,
            rungs=(2, 6, 18),
            stages=(Stage(epoch=2, trials=9), Stage(epoch=6, trials=3), Stage(epoch=20, trials=1)),
            expected_epochs=44,
            worst_case_epochs=240,
            confirm_epochs=60,
            cost=None if epoch_seconds is None else cost,
            examples=(),
        )

    def submit(self, document: Any) -> StudyView:
        """Take a study and give the first view."""
        self.submitted.append(document)
        return self.views[0]
