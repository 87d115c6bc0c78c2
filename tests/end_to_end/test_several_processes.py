"""Several server processes on one port: whichever dies, workers and browsers notice little."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from tests.api.samples import study
from tests.end_to_end.cluster import Cluster, assert_whole, cluster
from tuner.errors import ServerUnreachable
from tuner.spec.events import EventKind
from tuner.spec.messages import LeaseRequest, Outcome, OutcomeKind, Report
from tuner.spec.states import StudyState
from workers.client import ServerClient

pytestmark = pytest.mark.timeout(120)
PROCESSES, WORKERS, TRIALS, STEPS = 2, 4, 24, 3
T = TypeVar("T")


@pytest.fixture
def town(tmp_path: Path, postgresql_url: str) -> Iterator[Cluster]:
    """Two server processes on PostgreSQL."""
    with cluster(
        tmp_path, postgresql_url, SEGTUNE_PROCESSES=str(PROCESSES), SEGTUNE_LEASE_SECONDS="4"
    ) as started:
        yield started


def listening(town: Cluster) -> list[psutil.Process]:
    """The processes that answer on the port."""
    assert town.server is not None
    return [
        child
        for child in psutil.Process(town.server.pid).children()
        if child.is_running() and any(each.status == "LISTEN" for each in child.net_connections())
    ]


def until(found: Callable[[], T], town: Cluster) -> T:
    """What is found at last."""
    deadline = time.monotonic() + 60
    while not (result := found()):
        assert time.monotonic() < deadline, town.log("server")
        time.sleep(0.05)
    return result


def all_listen(town: Cluster) -> list[psutil.Process]:
    """The processes, once there are as many as there should be."""
    return until(lambda: found if len(found := listening(town)) == PROCESSES else [], town)


@pytest.fixture
def clients(town: Cluster) -> Iterator[list[httpx.Client]]:
    """A client with a connection to each process."""
    found: dict[int, httpx.Client] = {}
    while len(found) < PROCESSES:
        client = httpx.Client(base_url=f"http://127.0.0.1:{town.port}", timeout=30)
        client.get("/health/live")
        held = {
            process.pid
            for process in all_listen(town)
            for each in process.net_connections()
            if port_of(client) in each.raddr[1:]
        }
        (process,) = held
        if process in found:
            client.close()
        else:
            found[process] = client
    yield [*found.values()]
    for client in found.values():
        client.close()


def port_of(client: httpx.Client) -> int:
    """This end's port of the one connection that a client has."""
    stream: Any = client.get("/health/live").extensions["network_stream"]
    return int(stream.get_extra_info("client_addr")[1])


def persistent(call: Callable[[], T]) -> T:
    """Do a call as workers do: again, until a server answers."""
    while True:
        try:
            return call()
        except ServerUnreachable:
            time.sleep(0.1)


def train(server: str, name: str) -> None:
    """A worker that makes up its numbers, until there is no trial left."""
    client = ServerClient(server)
    while True:
        taken = persistent(lambda: client.lease(LeaseRequest(worker=name, wait=6)))
        if taken is None:
            client.close()
            return
        for step in range(1, STEPS + 1):
            report = Report(step=step, metrics={"miou": step / 10, "train_loss": 1.0}, seconds=1.0)
            persistent(lambda: client.report(taken.lease, taken.token, (report,)))  # noqa: B023
            time.sleep(0.01)
        ended = Outcome(kind=OutcomeKind.COMPLETED)
        persistent(lambda: client.finish(taken.lease, taken.token, ended))  # noqa: B023


def test_a_killed_process_loses_nothing_and_is_replaced(town: Cluster) -> None:
    """SIGKILL while workers report: every trial ends whole, and another process takes its place."""
    before = {process.pid for process in all_listen(town)}
    search = {"sampler": "random", "pruner": "none", "trials": TRIALS, "parallel": WORKERS}
    town.client.submit(study(search=search))
    address = f"http://127.0.0.1:{town.port}"
    workers = [
        threading.Thread(target=train, args=(address, f"w{index}")) for index in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    town.until("street", lambda event: event.kind == EventKind.TRIAL_ENDED)

    victim = psutil.Process(min(before))
    victim.kill()
    for worker in workers:
        worker.join()

    assert town.client.study("street").state is StudyState.FINISHED, town.log("server")
    assert len([*town.client.trials("street")]) == TRIALS
    assert_whole(town.client, "street")
    after = {process.pid for process in all_listen(town)}
    assert len(before & after) == PROCESSES - 1


def test_every_process_counts_the_requests_of_all(clients: list[httpx.Client]) -> None:
    """Each is asked for something different by its own connection, and both know of both."""
    for number, client in enumerate(clients):
        client.get("/api/v1/studies" if number else "/api/v1/workers")
        client.get("/metrics")
    counts = [
        {
            line.split('route="')[1].split('"')[0].removeprefix("/api/v1"): float(line.split()[-1])
            for line in client.get("/metrics").text.splitlines()
            if line.startswith("segtune_http_request_seconds_count")
        }
        for client in clients
    ]

    assert [each["/studies"] for each in counts] == [1, 1]
    assert [each["/workers"] for each in counts] == [1, 1]
    assert [each["/metrics"] for each in counts] == [2, 3]


def test_a_signal_ends_all_processes(town: Cluster, clients: list[httpx.Client]) -> None:
    """SIGTERM: a worker that waits for work is sent home by its process, and none is left."""
    processes = all_listen(town)
    answers: list[int] = []

    def ask(client: httpx.Client) -> None:
        body = {"worker": f"w{port_of(client)}", "wait": 30}
        answers.append(client.post("/api/v1/leases", json=body).status_code)

    asking = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for each in asking:
        each.start()
    until(lambda: len(town.client.workers()) == PROCESSES, town)
    assert town.server is not None
    began = time.monotonic()
    town.kill(town.server, signal.SIGTERM)
    for each in asking:
        each.join()

    assert answers == [204] * PROCESSES
    assert time.monotonic() - began < 20
    assert [process for process in processes if process.is_running()] == []


def test_processes_end_with_the_one_that_started_them(town: Cluster) -> None:
    """Its SIGKILL leaves no process behind that would hold the port."""
    processes = all_listen(town)
    assert town.server is not None
    town.server.kill()
    gone, alive = psutil.wait_procs(processes, timeout=30)
    assert (len(gone), alive) == (PROCESSES, [])
