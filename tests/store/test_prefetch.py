"""A slow sampler draws outside of its study's lock, and ahead of need once two trials run."""

from typing import Any

import pytest

from tests.store.drawing import Server, before_draws, submit
from tuner.service import overview, studies
from tuner.service.searches import Searches
from tuner.spec.messages import OutcomeKind
from tuner.spec.views import StudyChange
from tuner.store.engine import Database


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the trials that params are drawn for, in order."""
    made: list[int] = []
    before_draws(monkeypatch, lambda number, _: made.append(number))
    return made


def params(db: Database, study: str = "streets") -> list[dict[str, Any]]:
    """What was drawn for each trial of a study, by number."""
    return [dict(one.params) for one in overview.trials(db, study).items]


def test_reports_are_taken_while_params_are_drawn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draw holds no lock that a report of the same study needs."""
    server = Server(database)
    submit(server)
    held = server.take("w1")
    before_draws(monkeypatch, lambda *_: server.report(held, 1))
    assert server.take("w2").trial == 1
    assert overview.trial(database, "streets", 0).step == 1


def test_what_needs_no_draw_waits_for_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that was given back is handed out while params of another one are drawn."""
    server = Server(database)
    submit(server)
    held, taken = server.take("w1"), list[int]()

    def take_first(number: int, quick: bool) -> None:
        if not taken:
            server.finish(held, OutcomeKind.YIELDED)
            taken.append(server.take("w2").trial)

    before_draws(monkeypatch, take_first)
    assert server.take("w3").trial == 1
    assert taken == [0]


def test_a_draw_made_ahead_is_used_beside_others(database: Database, draws: list[int]) -> None:
    """The third worker gets what was drawn while the first two trained."""
    server = Server(database)
    submit(server)
    held = [server.take("w1"), server.take("w2")]
    server.rest()
    assert draws == [0, 1, 2]
    server.train(held[0])
    assert server.take("w1").trial == 2
    assert draws == [0, 1, 2]
    server.rest()
    assert draws == [0, 1, 2, 3]


def test_a_worker_alone_gets_a_draw_that_has_seen_everything(
    database: Database, draws: list[int]
) -> None:
    """What was drawn ahead is drawn again when the others have ended, outside of the lock."""
    server = Server(database)
    submit(server)
    held = [server.take("w1")]
    server.rest()
    assert draws == [0]
    held.append(server.take("w2"))
    server.rest()
    for one in held:
        server.train(one)
    assert server.take("w1").trial == 2
    assert draws == [0, 1, 2, 2]


def test_nothing_is_drawn_ahead_twice(database: Database, draws: list[int]) -> None:
    """Without news a draw that is ready stays; with news it is made again."""
    server = Server(database)
    submit(server)
    held = [server.take("w1"), server.take("w2")]
    last = server.jobs[-1]
    server.rest()
    last()
    assert draws == [0, 1, 2]
    server.report(held[0], 1)
    last()
    assert draws == [0, 1, 2, 2]


def test_a_number_that_another_server_gave_away_is_drawn_anew(
    database: Database, draws: list[int]
) -> None:
    """Two processes on one study: what is ready for a number that is gone is never used."""
    server, other = Server(database), Server(database)
    submit(server)
    server.take("w1"), server.take("w2")
    server.rest()
    assert other.take("w3").trial == 2
    assert server.take("w4").trial == 3
    assert draws == [0, 1, 2, 2, 3]
    drawn = params(database)
    assert all(drawn[a] != drawn[b] for a in range(4) for b in range(a))


def test_nothing_is_drawn_ahead_while_a_worker_has_its_turn(
    database: Database, draws: list[int]
) -> None:
    """That worker orders the next one itself."""
    server = Server(database)
    submit(server)
    server.take("w1"), server.take("w2")
    with server.searches.turn(1).taken(must_wait=True):
        server.rest()
    assert draws == [0, 1]


def test_nothing_is_drawn_ahead_for_a_study_that_gives_no_more(
    database: Database, draws: list[int]
) -> None:
    """A study that is fully drawn, cancelled or deleted is left alone."""
    server = Server(database)
    submit(server)
    held = [server.take("w1"), server.take("w2")]
    job = server.jobs[-1]
    studies.change(database, "streets", StudyChange(trials=2))
    job()
    studies.change(database, "streets", StudyChange(state="cancelled"))
    job()
    for one in held:
        server.finish(one, OutcomeKind.FAILED)
    studies.delete(database, "streets")
    job()
    assert draws == [0, 1]


def alone(server: Server, name: str, *, restart_at: int | None = None) -> list[dict[str, Any]]:
    """What seven trials were drawn as, by one worker, with a new server in the middle if asked."""
    submit(server, name, startup=4)
    for number in range(7):
        if number == restart_at:
            server.searches = Searches(server.jobs.append)
        held = server.take(study=name)
        server.report(held, 1, 2, 3, value=1 - abs(held.config.optimizer.weight_decay - 1e-3))
        server.finish(held)
        server.rest()
    return params(server.db, name)


def test_one_worker_repeats_a_study_exactly(clocked_database: Database) -> None:
    """With a background and without one, and across a restart."""
    idle = Server(clocked_database)
    idle.searches = Searches()
    once = alone(idle, "once")
    again = alone(Server(clocked_database), "again")
    broken = alone(Server(clocked_database), "broken", restart_at=5)
    assert once == again == broken
