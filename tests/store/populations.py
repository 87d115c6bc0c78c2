"""A population that one worker trains, with checkpoints but without a network or a GPU."""

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import overview
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import TrialSource
from tuner.spec.study import StudySpec
from tuner.store import artifacts, studies, trials
from tuner.store.artifacts import Stored, Upload

EPOCHS = 8


def population(trials: int = 6, **search: object) -> StudySpec:
    """A population over eight epochs that meets at 2, 4 and 6."""
    sampler = {"name": "pbt", "interval": 2, "share": 0.25}
    return spec(epochs=EPOCHS, search={"sampler": sampler, "trials": trials, **search})


def save(fleet: Fleet, held: Assignment, step: int) -> None:
    """Store a checkpoint of the trial, as its worker does."""
    with fleet.db.transaction() as session:
        study = studies.find(session, held.study)
        trial = trials.find(session, study, held.trial)
        artifacts.drop(session, artifacts.list_for(session, trial.id))
        stored = Stored(f"{held.trial:032x}{step:032x}", 3)
        upload = Upload("checkpoint.pt", "checkpoint", step, stored)
        artifacts.add(session, trial, upload, now=fleet.db.now())


def value_of(held: Assignment) -> float:
    """A trial is as good as its learning rate is near 0.01."""
    config = held.config.at(EPOCHS)
    return round(1 - abs(config.optimizer.lr - 0.01), 4)


def train(fleet: Fleet, held: Assignment) -> None:
    """Train epoch by epoch until a verdict or the end, handing in a checkpoint."""
    for step in range(held.last_step + 1, EPOCHS + 1):
        verdict = fleet.report(held, step, value=value_of(held)).verdict
        if verdict.action is Action.PAUSE:
            save(fleet, held, step)
            fleet.finish(held, OutcomeKind.PAUSED)
            return
        assert verdict.action is Action.CONTINUE
    save(fleet, held, EPOCHS)
    fleet.finish(held)


def run(fleet: Fleet, document: StudySpec | None = None) -> list[Assignment]:
    """One worker trains the whole study; gives what it was handed."""
    fleet.submit(document or population())
    seen = []
    while (held := fleet.ask()) is not None:
        seen.append(held)
        train(fleet, held)
    return seen


def copies(fleet: Fleet) -> list[int]:
    """Numbers of the copies."""
    page = overview.trials(fleet.db, "streets", limit=100).items
    return sorted(trial.number for trial in page if trial.source is TrialSource.COPY)
