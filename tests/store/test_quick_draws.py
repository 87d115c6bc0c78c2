"""Workers that have waited enough for slow draws get quick ones; one that is alone never does."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.drawing import Server, before_draws, submit
from tests.store.measuring import MeasuringFleet, deployed
from tuner.service import overview, prefetch
from tuner.service.searches import Searches
from tuner.service.turns import DrawingTurn
from tuner.spec.messages import OutcomeKind
from tuner.store.engine import Database


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the trials that are drawn for quickly, in order."""
    made: list[int] = []
    before_draws(monkeypatch, lambda number, quick: made.extend([number] * quick))
    return made


@pytest.fixture
def waited_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have waited for each other's draws as long as they may."""
    monkeypatch.setattr(DrawingTurn, "is_used_up", True)


@pytest.mark.usefixtures("waited_enough")
def test_workers_that_have_waited_enough_get_quick_draws(
    database: Database, quick: list[int]
) -> None:
    """They wait for no turn, and nothing is drawn ahead."""
    server = Server(database)
    submit(server, sampler="portfolio")
    server.take("w1")
    with server.searches.turn(1).taken(must_wait=True):
        assert [server.take("w2").trial, server.take("w3").trial] == [1, 2]
    assert quick == [1, 2]
    assert not server.jobs


@pytest.mark.usefixtures("waited_enough")
def test_a_worker_alone_never_gets_a_quick_draw(database: Database, quick: list[int]) -> None:
    """Nobody waits for it, and the same trials have to give the same params."""
    server = Server(database)
    submit(server, sampler="portfolio")
    for _ in range(3):
        server.train(server.take("w1"))
    assert quick == []


@pytest.mark.usefixtures("waited_enough")
def test_a_draw_for_a_worker_alone_is_made_outside_of_the_lock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a slow one, whatever others have waited before they left."""
    server, was_free = Server(database), list[bool]()
    submit(server, sampler="portfolio")

    def look(number: int, quick: bool) -> None:
        with server.searches.turn(1).taken_if_free() as is_ours:
            was_free.append(is_ours)

    before_draws(monkeypatch, look)
    for _ in range(3):
        server.train(server.take("w1"))
    assert was_free == [False] * 3


@pytest.mark.usefixtures("waited_enough")
def test_of_workers_that_ask_together_while_none_runs_one_gets_a_full_draw(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds nobody at work; those that waited for the first draw find its worker."""
    server, full = Server(database), list[bool]()
    submit(server, sampler="portfolio")
    server.train(server.take("w0"))
    all_have_looked, looks, is_alone = threading.Barrier(4), itertools.count(), prefetch._is_alone

    def look(db: Database, study_id: int) -> bool:
        found = is_alone(db, study_id)
        if next(looks) < all_have_looked.parties:
            all_have_looked.wait(30)
        return found

    monkeypatch.setattr(prefetch, "_is_alone", look)
    before_draws(monkeypatch, lambda _, quick: full.append(not quick))
    with ThreadPoolExecutor(4) as workers:
        held = list(workers.map(server.take, ["w1", "w2", "w3", "w4"]))
    assert sorted(one.trial for one in held) == [1, 2, 3, 4]
    assert full == [True, False, False, False]


@pytest.mark.usefixtures("waited_enough")
def test_the_process_by_itself_is_waited_for(database: Database, quick: list[int]) -> None:
    """A sampler that is slow at every draw makes none under the lock, and goes on ahead of need."""
    server = Server(database)
    submit(server)
    held = [server.take(f"w{index}").trial for index in range(3)]
    assert held == [0, 1, 2]
    assert quick == []
    assert len(server.jobs) == 3


def test_time_to_wait_is_gained_by_those_that_train_and_the_one_that_asks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what eight had saved was lost when all had ended before the first asked again."""
    server, noted = Server(database), list[int]()
    monkeypatch.setattr(DrawingTurn, "note_workers", lambda _, number: noted.append(number))
    submit(server)
    held = [server.take(f"w{index}") for index in range(3)]
    for one in held:
        server.train(one)
    server.take("w0")
    assert noted == [1, 2, 3, 1]


def test_each_study_has_a_time_to_wait_of_its_own() -> None:
    """However many there are."""
    searches = Searches()
    assert len({id(searches.turn(study)) for study in range(1, 100)}) == 99
    assert searches.turn(1) is searches.turn(1)


def test_a_study_by_a_quick_sampler_has_nothing_to_wait_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody keeps count of its workers."""
    server = Server(database)
    monkeypatch.setattr(DrawingTurn, "note_workers", lambda _, number: pytest.fail("counted"))
    submit(server, sampler="tpe")
    assert server.take("w1").trial == 0


def test_what_waits_to_be_measured_makes_no_draw_a_quick_one(
    database: Database, quick: list[int]
) -> None:
    """A worker that cannot measure gets its own, made outside of the lock."""
    fleet = MeasuringFleet(database)
    search = {"sampler": "portfolio", "pruner": "none", "trials": 24, "parallel": 8}
    fleet.submit(deployed(constraints=[], search=search))
    first = fleet.ask_on("cpu", "host")
    assert first is not None
    fleet.follow(first)
    trained = [fleet.ask_on("cuda", f"gpu-{index}") for index in range(8)]
    assert overview.study(database, "streets").counts.waiting > 0
    assert sum(held is not None for held in trained) > 1
    assert quick == []


def test_a_worker_that_only_measures_waits_for_no_promotion(
    database: Database, quick: list[int]
) -> None:
    """Who trains goes on with the trial at a rung; for the other a full draw is made."""
    fleet = MeasuringFleet(database)
    base = {
        "model": {"encoder": "resnet18"},
        "training": {"epochs": 9},
        "schedule": {"warmup": 0},
    }
    search = {"sampler": "portfolio", "pruner": "promote", "trials": 24, "parallel": 8}
    fleet.submit(deployed(base=base, constraints=[], resources={"gpus": 1}, search=search))

    def measure() -> None:
        if (held := fleet.ask_on("cpu", "host")) is not None:  # its network is not known yet
            fleet.finish(held, fleet.tell(held).verdict.action.outcome or OutcomeKind.YIELDED)

    measure()
    fleet.ask_on("cuda", "base")
    for value in (0.1, 0.9, 0.2):
        measure()
        held = fleet.ask_on("cuda", "gpu")
        assert held is not None
        fleet.report(held, 1, 2, value=value)
        fleet.finish(held, OutcomeKind.PAUSED)
    drawn = overview.study(database, "streets").counts.total
    measure()
    assert overview.study(database, "streets").counts.total > drawn
    assert quick == []


def test_a_number_that_is_taken_during_its_draw_is_drawn_for_quickly(
    database: Database, quick: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction holds the study's lock, so that it cannot take long."""
    server, other = Server(database), Server(database)
    submit(server, sampler="portfolio")
    server.take("w1")
    taken = list[int]()

    def take_first(number: int, quick: bool) -> None:
        if not taken:
            taken.append(number)
            other.take("w2")

    before_draws(monkeypatch, take_first)
    assert server.take("w3").trial == 2
    assert taken == [1]
    assert quick == [2]
