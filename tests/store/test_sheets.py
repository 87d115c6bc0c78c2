"""How many sheets of predictions a trial keeps, and which."""

import os
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tests.store.sheets import details, hand_in, show
from tuner.errors import LeaseLost
from tuner.service import artifacts, examples, studies, upkeep
from tuner.service.artifacts import SHEETS_KEPT, sheets_kept, spread
from tuner.spec.messages import OutcomeKind
from tuner.spec.views import StudyChange
from tuner.store.artifacts import ArtifactStore, Upload
from tuner.store.engine import Database

STEPS = st.sets(st.integers(1, 500), min_size=1, max_size=60)


@given(steps=STEPS, most=st.integers(1, 30), data=st.data())
def test_first_last_and_best_are_always_kept(
    steps: set[int], most: int, data: st.DataObject
) -> None:
    """The others are as many as fit, and nothing is kept that is not there."""
    best = data.draw(st.sampled_from(sorted(steps)))
    kept = spread(sorted(steps), most, best=best)
    fixed = {min(steps), max(steps), best}
    assert fixed <= kept <= steps
    assert len(kept) == min(len(steps), max(most, len(fixed)))


@given(epochs=st.integers(1, 300))
def test_what_comes_one_by_one_stays_evenly_spread(epochs: int) -> None:
    """A trial to its full budget has at most so many, and no gap is far wider than the others."""
    kept: Iterable[int] = ()
    for step in range(1, epochs + 1):
        kept = spread([*kept, step], sheets_kept(step, epochs), best=None)
    found = sorted(kept)
    assert len(found) <= max(SHEETS_KEPT, 1)
    assert (found[0], found[-1]) == (1, epochs)
    gaps = [after - before for before, after in pairwise(found)]
    assert max(gaps, default=0) <= 4 * max(1, epochs / SHEETS_KEPT) + 1


def test_a_trial_stopped_early_keeps_its_share() -> None:
    """Of 100 epochs, 24 sheets; of the first 10, four."""
    assert (sheets_kept(100, 100), sheets_kept(10, 100), sheets_kept(50, 100)) == (24, 4, 12)
    assert sheets_kept(3, 3) == 24


def test_sheets_are_thinned_as_they_come(database: Database) -> None:
    """The best epoch stays, though epochs beside it go."""
    fleet = Fleet(database)
    fleet.submit(spec(epochs=100))
    held = fleet.take()
    for step in range(1, 101):
        fleet.report(held, step, value=0.9 if step == 34 else step / 1000)
        hand_in(fleet, held, "predictions", details(0.5), step=step)
    found = examples.of_trial(database, "streets", held.trial)
    steps = [sheet.step for sheet in found.predictions]
    assert len(steps) == SHEETS_KEPT
    assert {1, 34, 100} <= set(steps)


def test_other_files_stay(database: Database) -> None:
    """Thinning looks at predictions alone, and a step that comes again replaces its own."""
    fleet = Fleet(database)
    fleet.submit(spec(epochs=3))
    held = fleet.take()
    for _ in range(2):
        show(fleet, held, 0.5, None)
    found = examples.of_trial(database, "streets", held.trial)
    assert [sheet.step for sheet in found.predictions] == [1]
    assert found.photos is not None
    assert found.truth is not None


def test_a_lease_that_has_ended_shows_nothing(database: Database) -> None:
    """Its pictures are refused like everything else."""
    fleet = Fleet(database)
    fleet.submit()
    held = fleet.take()
    fleet.train(held)
    with pytest.raises(LeaseLost):
        hand_in(fleet, held, "predictions", details(0.5), step=1)


def test_other_data_begin_with_no_pictures(database: Database) -> None:
    """A trial that starts again, because its data changed, loses those of the data before."""
    fleet = Fleet(database)
    fleet.submit()
    held = fleet.take()
    fleet.report(held, 1)
    show(fleet, held, 0.5)
    fleet.finish(held, OutcomeKind.OUTDATED)
    found = examples.of_trial(database, "streets", held.trial)
    assert (found.photos, found.truth, found.predictions) == (None, None, ())


def test_a_deleted_study_leaves_no_sheet(database: Database, tmp_path: Path) -> None:
    """Neither rows nor, after upkeep, files."""
    fleet, store = Fleet(database), ArtifactStore(tmp_path / "files")
    fleet.submit()
    held = fleet.take()
    stored = store.write([b"picture"], sha256=None, limit=100)
    upload = Upload("predictions-1.png", "predictions", 1, stored, details(0.5))
    artifacts.attach(database, held.lease, held.token, upload, store=store)
    (file,) = (path for path in store.folder.rglob("*") if path.is_file())
    os.utime(file, (0, 0))
    assert upkeep.sweep(database, store) == 0
    fleet.train(held)
    studies.change(database, "streets", StudyChange(state="cancelled"))
    studies.delete(database, "streets")
    upkeep.remove_deleted(database, timedelta(0))
    assert upkeep.sweep(database, store) == 1
    assert not file.exists()


@pytest.mark.parametrize("place", ["incoming/", "??/"])
def test_a_sweep_outlives_uploads_that_end_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A file that was listed and has been renamed or deleted since is nobody's orphan."""
    store, glob = ArtifactStore(tmp_path / "files"), Path.glob

    def listed(folder: Path, pattern: str) -> Iterable[Path]:
        return [folder / "gone"] if pattern.startswith(place) else glob(folder, pattern)

    store.write([b"orphan"], sha256=None, limit=100)
    (file,) = (path for path in store.folder.rglob("*") if path.is_file())
    os.utime(file, (0, 0))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "glob", listed)
        assert upkeep.sweep(database, store) == (0 if "?" in place else 1)
    upkeep.sweep(database, store)
    assert not file.exists()
