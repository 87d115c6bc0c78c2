"""Several server processes on one port: whichever dies, workers and browsers notice little."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from tests.api.samples import study
from tests.end_to_end.cluster import SEGTUNE, Cluster, assert_whole, cluster
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


@contextmanager
def clients(town: Cluster) -> Iterator[list[httpx.Client]]:
    """A client with a connection to each process."""
    found: dict[int, httpx.Client] = {}
    with ExitStack() as stack:
        while len(found) < PROCESSES:
            client = httpx.Client(base_url=f"http://127.0.0.1:{town.port}", timeout=60)
            stack.enter_context(client)
            port = port_of(client)
            for process in all_listen(town):
                if any(port in each.raddr[1:] for each in process.net_connections()):
                    found.setdefault(process.pid, client)
        yield [*found.values()]


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


def test_a_killed_process_is_replaced_and_a_signal_ends_all(town: Cluster) -> None:
    """SIGKILL while workers report: every trial ends whole, and another process takes its place.

    SIGTERM: whoever waits for work is sent home by its process, and none of them is left.
    """
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

    psutil.Process(min(before)).kill()
    for worker in workers:
        worker.join()

    assert town.client.study("street").state is StudyState.FINISHED, town.log("server")
    assert len([*town.client.trials("street")]) == TRIALS
    assert_whole(town.client, "street")
    processes = all_listen(town)
    assert len(before & {process.pid for process in processes}) == PROCESSES - 1

    with clients(town) as waiting, ThreadPoolExecutor(PROCESSES) as pool:
        answers = [
            pool.submit(client.post, "/api/v1/leases", json={"worker": f"idle{index}", "wait": 30})
            for index, client in enumerate(waiting)
        ]
        until(lambda: len(town.client.workers()) == WORKERS + PROCESSES, town)
        assert town.server is not None
        town.kill(town.server, signal.SIGTERM)

        assert [answer.result().status_code for answer in answers] == [204] * PROCESSES
    assert [process for process in processes if process.is_running()] == []
    assert town.server.returncode == 0


def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    """None is left behind that would hold the port: its parent is another one by now."""
    environment = {**os.environ, "SEGTUNE_HOME": str(tmp_path), "SEGTUNE_PORT": "0"}
    done = subprocess.run(
        [*SEGTUNE, "serve", "--parent", str(os.getpid() + 1)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "that started this one has ended" in done.stderr
    assert done.returncode == -signal.SIGTERM
