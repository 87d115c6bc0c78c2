"""The processes that are broken: a server, its workers, what supervises and what surrounds them."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.chaos.disks import Disk
from benchmarks.chaos.proxy import Proxy
from tuner.client import Client

SEGTUNE = (sys.executable, "-m", "tuner.cli.app")
MARK = "SEGTUNE_CHAOS_MARK"  # in the environment of every process that the town starts
LEASE = 4.0  # seconds
_TICK = 0.05


@dataclass
class Process:
    """A command that is started again whenever it ends."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    deaths: list[tuple[float, int]] = field(default_factory=list)  # time and exit code of each
    running: psutil.Popen | None = None

    def start(self) -> None:
        """Start it, in a session of its own."""
        with self.log.open("ab") as log:
            self.running = psutil.Popen(
                [*SEGTUNE, *self.command],
                env=self.environment,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def supervise(self) -> None:
        """Start it again if it has ended."""
        if self.running is not None and (code := self.running.poll()) is not None:
            self.deaths.append((time.monotonic(), code))
            self.start()

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that it has started; none when it has just ended."""
        with suppress(psutil.NoSuchProcess):
            return [] if self.running is None else list(self.running.children())
        return []

    @property
    def tree(self) -> list[psutil.Process]:
        """It and the processes that it has started."""
        return [each for each in (self.running, *self.children) if each is not None]


class Town:
    """One server and workers, each behind a link of the proxy and with a disk of its own."""

    def __init__(self, folder: Path, database_url: str, workers: int, *, lease: float) -> None:
        self.folder, self.database_url, self.lease = folder, database_url, lease
        self.mark = uuid.uuid4().hex
        self.names = tuple(f"worker-{number}" for number in range(1, workers + 1))
        port = _free_port()
        self.client = Client(f"http://127.0.0.1:{port}")
        self.proxy = Proxy(port, self.names)
        self.outages: list[tuple[float, float]] = []  # of the database, from when to when
        self.outage: float | None = None  # the one under way
        self.disks = {name: Disk(folder / "cache" / name) for name in self.names}
        self._environment = {
            **os.environ,
            MARK: self.mark,
            "SEGTUNE_HOME": str(folder / "home"),
            "SEGTUNE_DATABASE_URL": database_url,
            "SEGTUNE_LEASE_SECONDS": f"{lease:g}",
            "SEGTUNE_UPKEEP_SECONDS": "0.5",
            "SEGTUNE_POLL_SECONDS": "2",
            "SEGTUNE_CHECKPOINT_SECONDS": "0",
            "SEGTUNE_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.server = self._process("server", "serve", "--port", str(port))
        self.workers = {name: self._worker(name) for name in self.names}

    def start(self) -> None:
        """Start all, and wait until the server answers."""
        self.server.start()
        self.until(self.is_ready, seconds=120, what="an answer of the server")
        for worker in self.workers.values():
            worker.start()

    @property
    def processes(self) -> tuple[Process, ...]:
        """The server and the workers."""
        return (self.server, *self.workers.values())

    @property
    def disk(self) -> str:
        """How the workers' disks are made full."""
        return next(iter(self.disks.values())).kind

    def supervise(self) -> None:
        """Start again whatever has ended."""
        for process in self.processes:
            process.supervise()

    def trainer(self, name: str) -> psutil.Process | None:
        """The trainer of a worker, if it has one now."""
        return next(iter(self.workers[name].children), None)

    def until(self, holds: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Supervise until something holds. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come within {seconds:g} s")
            self.supervise()
            time.sleep(_TICK)

    def is_ready(self) -> bool:
        """Whether the server answers."""
        with suppress(Exception):
            self.client.workers()
            return True
        return False

    def marked(self) -> list[psutil.Process]:
        """Every process that the town, or one of its processes, has started and that lives."""
        return [each for each in psutil.process_iter() if self._is_marked(each)]

    def strays(self) -> list[psutil.Process]:
        """Processes of the town whose parent is not of the town any more."""
        ours = self.marked()
        parents = {each.pid for each in ours} | {os.getpid()}
        found = []
        for each in ours:
            with suppress(psutil.NoSuchProcess):
                if each.ppid() not in parents:
                    found.append(each)
        return found

    def stop(self) -> dict[str, int]:
        """Ask all to end, workers first; their exit codes, -9 for what had to be killed."""
        codes = {}
        for group in (tuple(self.workers.values()), (self.server,)):
            for process in group:
                if process.running is not None:
                    process.running.send_signal(signal.SIGTERM)
            for process in group:
                if process.running is not None:
                    codes[process.name] = _ended(process.running)
        return codes

    def close(self) -> None:
        """Kill what is left, and take everything down."""
        for process in self.marked():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for each in self.processes:
            if each.running is not None:
                each.running.wait()
        self.client.close()
        self.proxy.close()
        for disk in self.disks.values():
            disk.close()

    def _is_marked(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, OSError):
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARK) == self.mark
            )
        return False

    def _process(self, name: str, *command: str, **settings: str) -> Process:
        environment = {**self._environment, **settings}
        return Process(name, command, environment, self.folder / f"{name}.log")

    def _worker(self, name: str) -> Process:
        return self._process(
            name,
            *("worker", "--device", "cpu", "--name", name),
            SEGTUNE_SERVER=self.proxy.url(name),
            SEGTUNE_CACHE=str(self.disks[name].folder),
        )


@contextmanager
def town(folder: Path, database_url: str, workers: int, *, lease: float = LEASE) -> Iterator[Town]:
    """A town that runs; nothing of it is left afterwards."""
    built = Town(folder, database_url, workers, lease=lease)
    try:
        built.start()
        yield built
    finally:
        built.close()


def _ended(process: psutil.Popen) -> int:
    try:
        return int(process.wait(timeout=60))
    except psutil.TimeoutExpired:
        process.kill()
        return int(process.wait())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
