"""Which files of ended trials go, and which are needed by somebody still."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import artifacts, retention, retries, studies, upkeep
from tuner.service.retention import Needs, superfluous
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef, Assignment, OutcomeKind
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.study import Retention, StudySpec
from tuner.spec.views import StudyChange
from tuner.store.artifacts import ArtifactStore, EndedHolding, Upload, of_ended
from tuner.store.engine import Database

NUMBERS = st.integers(0, 12)
HOLDINGS = st.lists(
    st.builds(
        EndedHolding,
        artifact=st.integers(1, 99),
        kind=st.sampled_from([*ArtifactKind]),
        trial=NUMBERS,
        state=st.sampled_from([*TrialState, "of-a-later-release"]),
        source=st.sampled_from([*TrialSource]),
        parent=st.none() | NUMBERS,
    ),
    max_size=30,
)
KEEPS = st.builds(Retention, best=st.none() | st.integers(1, 5), last=st.booleans())
NEEDS = st.builds(
    Needs, best=st.frozensets(NUMBERS), may_retry=st.booleans(), may_copy=st.booleans()
)


@given(held=HOLDINGS, keep=KEEPS, needs=NEEDS)
def test_what_is_needed_stays(held: list[EndedHolding], keep: Retention, needs: Needs) -> None:
    """Of what goes nothing can be resumed, tried again, copied, or is one of the best."""
    for one in superfluous(held, keep, needs):
        assert one.kind in {ArtifactKind.MODEL, ArtifactKind.CHECKPOINT}
        assert one.state in {state for state in TrialState if state.has_ended}
        assert not (needs.may_retry and one.state == TrialState.FAILED)
        assert not (needs.may_copy and one.kind == ArtifactKind.CHECKPOINT)
        number = one.parent if one.source == TrialSource.CONFIRM else one.trial
        assert one.state != TrialState.COMPLETED or number not in needs.best


@given(held=HOLDINGS, needs=NEEDS)
def test_all_stays_that_nobody_said_anything_of(held: list[EndedHolding], needs: Needs) -> None:
    """A study that says nothing keeps the files of all its trials."""
    assert superfluous(held, Retention(), needs) == ()


@given(held=HOLDINGS, keep=KEEPS, needs=NEEDS, more=st.frozensets(NUMBERS))
def test_more_needs_never_cost_a_file(
    held: list[EndedHolding], keep: Retention, needs: Needs, more: frozenset[int]
) -> None:
    """What goes though much is needed goes too where less is; and once is enough."""
    most = Needs(needs.best | more, may_retry=True, may_copy=True)
    gone = superfluous(held, keep, needs)
    assert set(superfluous(held, keep, most)) <= set(gone)
    assert superfluous([one for one in held if one not in gone], keep, needs) == ()


class Files:
    """A fleet whose trials hand in checkpoints and models."""

    def __init__(self, db: Database, folder: Path) -> None:
        self.fleet, self.store = Fleet(db), ArtifactStore(folder)
        self.collected: retention.Collected = {}

    def hand_in(self, held: Assignment, kind: str) -> ArtifactRef:
        """A file that no other trial has."""
        stored = self.store.write([f"{kind} {held.trial}".encode()], sha256=None, limit=100)
        upload = Upload(kind, kind, 1, stored)
        return artifacts.attach(self.fleet.db, held.lease, held.token, upload, store=self.store)

    def train(self, value: float, kind: OutcomeKind = OutcomeKind.COMPLETED) -> int:
        """A trial that ends so."""
        held = self.fleet.take()
        self.hand_in(held, "checkpoint")
        self.hand_in(held, "log")
        if kind is OutcomeKind.COMPLETED:
            self.hand_in(held, "model")
            self.fleet.train(held, value=value)
        else:
            self.fleet.report(held, 1, value=value)
            self.fleet.finish(held, kind)
        return held.trial

    def collect(self) -> dict[int, set[str]]:
        """What each trial holds afterwards."""
        upkeep.run(self.fleet.db, self.store, collected=self.collected)
        with self.fleet.db.reading() as session:
            found: dict[int, set[str]] = {}
            for one in of_ended(session, 1, [*ArtifactKind]):
                found.setdefault(one.trial, set()).add(one.kind)
        return found


@pytest.fixture
def files(database: Database, tmp_path: Path) -> Files:
    """Trials of one study."""
    return Files(database, tmp_path)


ALL = {"checkpoint", "model", "log"}


def study(trials: int, keep: dict[str, Any] | None = None, **changes: Any) -> StudySpec:
    """A study of so many trials that keeps what it says."""
    search = {"sampler": "random", "pruner": "none", "trials": trials, "parallel": 8}
    confirm = changes.pop("confirm", None)
    said: dict[str, Any] = {} if keep is None else {"keep": keep}
    return spec(search={**search, "confirm": confirm}, **said, **changes)


def test_the_best_stay(files: Files) -> None:
    """Of the others the log stays; their bytes go at once, and the next to end decides anew."""
    files.fleet.submit(study(4, {"best": 1}))
    first, second = files.train(0.5), files.train(0.4)
    assert files.collect() == {first: ALL, second: {"log"}}
    third = files.train(0.9)
    assert files.collect() == {first: {"log"}, second: {"log"}, third: ALL}


def test_what_can_go_on_stays(files: Files) -> None:
    """A failed trial is tried again from its checkpoint, and one that waits has its own."""
    files.fleet.submit(study(4, {"best": 1, "last": False}))
    failed = files.train(0.1, OutcomeKind.FAILED)
    waiting = files.train(0.1, OutcomeKind.CRASHED)
    again = files.fleet.take()
    assert again.trial == waiting
    files.fleet.finish(again, OutcomeKind.PRUNED)
    assert files.collect() == {failed: {"checkpoint", "log"}, waiting: {"log"}}
    retries.retry(files.fleet.db, "streets", failed)
    resumed = files.fleet.take()
    assert (resumed.trial, resumed.resume is not None) == (failed, True)


def test_nothing_goes_of_a_study_that_says_nothing(files: Files) -> None:
    """Until it says so, also after its end."""
    files.fleet.submit(study(2))
    numbers = [files.train(0.5), files.train(0.4)]
    assert files.collect() == dict.fromkeys(numbers, ALL)
    studies.change(files.fleet.db, "streets", StudyChange(keep=Retention(best=1)))
    assert files.collect() == {numbers[0]: ALL, numbers[1]: {"log"}}


def test_leaders_and_their_confirmations_stay(files: Files) -> None:
    """So many as are confirmed, whatever is said to be kept."""
    document = study(3, {"best": 1}, confirm={"top": 2, "seeds": 1})
    files.fleet.submit(document)
    for value in (0.5, 0.4, 0.3, 0.45, 0.55):
        files.train(value)
    assert files.collect() == {0: ALL, 1: ALL, 2: {"log"}, 3: ALL, 4: ALL}


def test_the_front_stays(files: Files) -> None:
    """Of several objectives no single one says what is best."""
    both = [
        {"metric": "miou", "direction": "maximize"},
        {"metric": "train_loss", "direction": "minimize"},
    ]
    files.fleet.submit(study(3, {"best": 1}, objectives=both))
    for value, loss in ((0.9, 3.0), (0.5, 1.0), (0.4, 2.0)):
        held = files.fleet.take()
        files.hand_in(held, "model")
        files.fleet.report(held, 1, 2, 3, value=value, loss=loss)
        files.fleet.finish(held, OutcomeKind.COMPLETED)
    assert files.collect() == {0: {"model"}, 1: {"model"}}


def test_a_study_that_cannot_be_read_loses_nothing(files: Files) -> None:
    """And keeps no other one from being looked at."""
    files.fleet.submit(study(1, {"best": 1}))
    number = files.train(0.5)
    with files.fleet.db.transaction() as session:
        session.connection().exec_driver_sql("UPDATE studies SET spec = '{}'")
    assert files.collect() == {number: ALL}
