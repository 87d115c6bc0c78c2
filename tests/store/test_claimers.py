"""Sixteen processes claim trials from one database and some die: no trial is shared or lost."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tests.store.story import assert_story_is_legal
from tuner.service import overview
from tuner.spec.states import StudyState
from tuner.store.engine import Database
from tuner.store.tables import Attempt, Report, Trial

WORKERS, VICTIMS, TRIALS, EPOCHS = 16, 3, 24, 2
ROOT = Path(__file__).parents[2]


def test_killed_workers_share_and_lose_no_trial(database: Database) -> None:
    """Every trial is completed once, step by step, by one holder at a time."""
    search = {"sampler": "random", "pruner": "none", "trials": TRIALS, "parallel": WORKERS}
    Fleet(database).submit(spec(epochs=EPOCHS, search=search))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.store.claimers", database.url, str(WORKERS), str(VICTIMS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.stdout.split() == [str(WORKERS - VICTIMS), str(VICTIMS)], ended.stderr
    view = overview.study(database, "streets")
    assert (view.state, view.counts.completed) == (StudyState.FINISHED, TRIALS)
    assert view.epochs == TRIALS * EPOCHS
    with database.reading() as session:
        steps = session.execute(
            select(Trial.number, Report.step).join(Report, Report.trial_id == Trial.id)
        ).all()
        attempts = session.scalars(select(Attempt)).all()
    assert sorted((number, step) for number, step in steps) == [
        (number, step) for number in range(TRIALS) for step in range(1, EPOCHS + 1)
    ]
    assert sum(attempt.outcome == "lost" for attempt in attempts) >= VICTIMS
    assert all(attempt.ended_at is not None for attempt in attempts)
    assert_story_is_legal(overview.events(database, "streets", limit=10_000))
