"""Several trials at once on one worker: as many as memory allows, and fewer after trouble."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest
from pydantic import ValidationError

from tests.workers.conftest import QUICK, TRAINER
from tests.workers.fake_server import CONFIG, FakeServer, assignment, order
from tuner.errors import Unauthorized
from tuner.spec.deployment import Deployment
from tuner.spec.messages import Assignment, OutcomeKind
from workers import devices, needs
from workers.agent import run
from workers.packing import Pool
from workers.settings import WorkerSettings

LARGE = {"host": Pool(64_000, 32_000)}
STAYS = "heartbeat report=1 until-yield save=1 finish=yielded"
DONE = "heartbeat report=1 finish=completed"


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, Pool]:
    """What the machine is said to have, to be changed by a test."""
    found = dict(LARGE)
    monkeypatch.setattr("workers.agent.pools", lambda device: found)
    return found


@dataclass
class Working:
    """A worker in a thread, and the flag that stops it."""

    settings: WorkerSettings
    pool: ThreadPoolExecutor
    stop: threading.Event

    def __call__(self, plan: str, *, slots: object = 2, trials: int | None = None) -> Future[int]:
        """Let it begin, with trainers that follow a plan."""
        command = [sys.executable, "-SE", str(TRAINER), plan]
        settings = self.settings.model_copy(update={"slots": slots})
        return self.pool.submit(
            run, settings, max_trials=trials, command=command, limits=QUICK, stop=self.stop
        )


@pytest.fixture
def start(settings: WorkerSettings, memory: dict[str, Pool]) -> Iterator[Working]:
    """A worker with slots, which ends with the test."""
    with ThreadPoolExecutor(1) as pool:
        working = Working(settings, pool, threading.Event())
        yield working
        working.stop.set()


def has_reported(server: FakeServer, *leases: str) -> Callable[[], bool]:
    """Whether each of the leases was reported for."""
    return lambda: all(f"POST leases/{lease}/reports" in server.requests for lease in leases)


def ends(server: FakeServer) -> list[tuple[str, OutcomeKind]]:
    """Leases and how they ended, in that order."""
    return [(lease, outcome.kind) for lease, outcome in server.finished]


def stop_on(server: FakeServer, request: str, *after: Assignment) -> None:
    """Tell what runs to stop once something was asked, and have these trials waiting from then."""

    def look(fake: FakeServer, name: str) -> None:
        if name == request:
            fake.heartbeat = order("stop")
            fake.waiting += after

    server.on_request = look


def test_another_trial_comes_beside_one_that_was_measured(
    server: FakeServer, start: Working
) -> None:
    """Both are trained at the same time, each by a trainer of its own, and both are given back."""
    server.waiting += [assignment("a", trial=1), assignment("b", trial=2)]
    working = start(STAYS)
    server.wait_for(has_reported(server, "a", "b"))
    assert server.finished == []
    start.stop.set()
    assert working.result(30) == 0
    assert sorted(ends(server)) == [("a", OutcomeKind.YIELDED), ("b", OutcomeKind.YIELDED)]
    asked = server.requests.index
    assert asked("POST leases/a/reports") < asked("POST leases/b/reports")


def test_no_trial_comes_where_memory_is_short(
    server: FakeServer, start: Working, memory: dict[str, Pool]
) -> None:
    """What other processes hold counts: the second trial waits for the end of the first."""
    memory["host"] = Pool(64_000, 3_000)  # less than the share that stays free
    server.waiting += [assignment("a", trial=1), assignment("b", trial=2)]
    assert start(DONE, trials=2).result(30) == 0
    asked = [number for number, name in enumerate(server.requests) if name == "POST leases"]
    assert server.requests.index("POST leases/a/finish") < asked[1]


def test_nothing_is_taken_by_declaration(server: FakeServer, start: Working) -> None:
    """However many slots are declared, nobody comes before a first epoch was measured."""
    server.waiting += [assignment("a", trial=1), assignment("b", trial=2)]
    assert start("heartbeat finish=completed", slots=8, trials=2).result(30) == 0
    asked = [number for number, name in enumerate(server.requests) if name == "POST leases"]
    assert server.requests.index("POST leases/a/finish") < asked[1]


def test_what_does_not_fit_is_given_back_until_it_does(
    server: FakeServer, start: Working, settings: WorkerSettings
) -> None:
    """A trial whose like has needed more than is left goes to others, and comes when it may."""
    wide = CONFIG.model_copy(
        update={"dataset": CONFIG.dataset.model_copy(update={"size": (512, 512)})}
    )
    needs.remember(settings.cache_folder, wide, devices.cpu(), {"host": 50_000})
    big = {"config": wide, "trial": 0}
    server.waiting += [assignment("a", trial=1, lease_seconds=0.05), assignment("b", **big)]
    stop_on(server, "POST leases/b/finish", assignment("b2", **big))
    working = start(f"{DONE} | heartbeat report=1 until-yield finish=yielded", trials=2)
    assert working.result(30) == 0
    assert ends(server) == [
        ("b", OutcomeKind.YIELDED),
        ("a", OutcomeKind.STOPPED),
        ("b2", OutcomeKind.COMPLETED),
    ]
    assert server.finished[0][1].error is None


@pytest.mark.parametrize("trouble", ["shared-fail=out_of_memory", "shared-kill"])
def test_what_ran_out_beside_others_is_tried_again_alone(
    server: FakeServer, start: Working, trouble: str
) -> None:
    """It is no failure of the trial; the worker has fewer slots, and nobody joins the trial."""
    again = assignment("b2", trial=0), assignment("c", trial=1, lease_seconds=0.05)
    server.waiting += [assignment("a", trial=1, lease_seconds=0.05), assignment("b", trial=0)]
    stop_on(server, "POST leases/b/finish", *again)
    plan = f"heartbeat report=1 {trouble} finish=completed | {STAYS}"
    assert start(plan, trials=4).result(30) == 0
    assert [lease for lease, _ in server.finished] == ["b", "a", "b2", "c"]
    (_, first), (_, second) = server.finished[0], server.finished[2]
    assert (first.kind, first.error_kind) == (OutcomeKind.YIELDED, "out_of_memory")
    assert "beside 1 other trial; it is tried again alone" in (first.error or "")
    assert second.kind is OutcomeKind.COMPLETED
    assert [each["capabilities"].get("slots", 1) for each in server.workers] == [2, 2, 1, 1]


def test_what_runs_out_alone_has_failed(server: FakeServer, start: Working) -> None:
    """Nobody else is to blame: it ends as it would on a worker of one slot."""
    server.waiting += [assignment("a")]
    stop_on(server, "POST leases/a/finish", assignment("a2"))
    assert start("heartbeat report=1 fail=out_of_memory", trials=2).result(30) == 0
    assert ends(server) == [("a", OutcomeKind.YIELDED), ("a2", OutcomeKind.FAILED)]


def test_a_trainer_without_room_gives_its_memory_up(
    server: FakeServer, start: Working, memory: dict[str, Pool]
) -> None:
    """A warm process holds memory that the trials which are there may need."""

    def trainers() -> int:
        found = 0
        for child in psutil.Process().children():
            with suppress(psutil.Error):  # it has just ended
                found += str(TRAINER) in child.cmdline()
        return found

    def fill(fake: FakeServer, name: str) -> None:
        if name == "POST leases/b/finish":
            memory["host"] = Pool(64_000, 100)

    server.on_request = fill
    server.waiting += [assignment("a", trial=1, lease_seconds=0.05), assignment("b", trial=0)]
    start(f"{DONE} | {STAYS}")
    server.wait_for(has_reported(server, "a", "b"))
    server.wait_for(lambda: len(server.finished) == 1 and trainers() == 1)


def test_costs_are_measured_on_a_quiet_device(server: FakeServer, start: Working) -> None:
    """A latency that was taken beside another trial would say nothing of the network."""
    measured = {"measure": Deployment(device="cpu"), "trial": 0}
    server.waiting += [assignment("a", trial=1, lease_seconds=0.05), assignment("b", **measured)]
    stop_on(server, "POST leases/b/finish", assignment("b2", **measured))
    assert start(f"measure=3 {DONE} | {STAYS}", trials=2).result(30) == 0
    assert [lease for lease, _ in server.finished] == ["b", "a", "b2"]
    assert len(server.measured) == 1


def test_a_refused_token_ends_all_slots(server: FakeServer, start: Working) -> None:
    """The error is the worker's, and what it trained is kept or given back."""
    server.waiting += [assignment("a", trial=1)]

    def look(fake: FakeServer, name: str) -> None:
        if name == "POST leases/a/reports":
            fake.statuses = {"leases": 401}

    server.on_request = look
    with pytest.raises(Unauthorized):
        start(STAYS).result(30)
    assert ends(server) == [("a", OutcomeKind.YIELDED)]


def test_a_worker_of_one_slot_says_nothing_of_slots(server: FakeServer, start: Working) -> None:
    """A server of the release before would refuse the word."""
    server.waiting += [assignment()]
    start(DONE, slots=1, trials=1).result(30)
    assert "slots" not in server.workers[0]["capabilities"]


@pytest.mark.parametrize(("said", "slots"), [("auto", "auto"), ("Auto", "auto"), (" 4 ", 4)])
def test_slots_come_from_the_environment(
    said: str, slots: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number of trials, or the word."""
    monkeypatch.setenv("SEGTUNE_SLOTS", said)
    assert WorkerSettings().slots == slots


@pytest.mark.parametrize("slots", [0, 65, -1, 1.5, True, None, "many", "", "2.0"])
def test_slots_are_a_number_or_auto(slots: object) -> None:
    """Anything else is refused, with what is allowed."""
    with pytest.raises(ValidationError, match=r"slots is .*; give auto, or how many .* 1 to 64"):
        WorkerSettings.model_validate({"slots": slots})


@pytest.mark.parametrize("slots", [2, "auto"])
def test_a_worker_of_several_gpus_has_one_slot(slots: object) -> None:
    """Several trials on a GPU, or a trial on several."""
    with pytest.raises(ValidationError, match="set one of them to 1"):
        WorkerSettings.model_validate({"slots": slots, "gpus": 2})
