"""Real processes on loopback: a server and workers, started by the command that users type."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tuner.client import Client
from tuner.errors import ServerUnreachable
from tuner.spec.states import TrialState
from tuner.spec.views import Event

SEGTUNE = (sys.executable, "-m", "tuner.cli.app")


class Cluster:
    """One server and its workers, each a process of its own, all below one folder."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.server: subprocess.Popen[bytes] | None = None
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "SEGTUNE_HOME": str(folder / "home"),
            "SEGTUNE_DATABASE_URL": database_url,
            "SEGTUNE_SERVER": f"http://127.0.0.1:{self.port}",
            "SEGTUNE_POLL_SECONDS": "2",
            "SEGTUNE_UPKEEP_SECONDS": "0.5",
            "SEGTUNE_CHECKPOINT_SECONDS": "0",
            "SEGTUNE_THREADS": "1",
            **settings,
        }

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        log = self.folder / "server.log"
        said_before = log.stat().st_size if log.exists() else 0
        self.server = self._start("server", "serve", "--port", str(self.port))
        for line in _lines(log, self.server, said_before):
            if "serves on" in line:
                return
        raise AssertionError(f"the server ended: {self.log('server')}")

    def start_worker(self, name: str) -> None:
        """Start a worker with a cache of its own, as on another machine; it connects by itself."""
        self.environment["SEGTUNE_CACHE"] = str(self.folder / "cache" / name)
        self.workers[name] = self._start(name, "worker", "--device", "cpu", "--name", name)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `segtune` command to its end."""
        return subprocess.run(
            [*SEGTUNE, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def kill(self, process: subprocess.Popen[bytes], sign: int = signal.SIGKILL) -> None:
        """Send a signal to a process and, for SIGKILL, to all it started; wait for its end."""
        if sign == signal.SIGKILL:
            os.killpg(process.pid, sign)
        else:
            process.send_signal(sign)
        process.wait(timeout=60)

    def until(self, study: str, happens: Callable[[Event], bool]) -> Event:
        """Follow the study's events, over server restarts, until one is as wished."""
        for event in self.client.events(study):
            if happens(event):
                return event
        raise AssertionError(f"the events of {study} ended without it: {self.log('server')}")

    def stop(self) -> None:
        """End whatever still runs."""
        for process in (*self.workers.values(), self.server):
            if process is not None and process.poll() is None:
                self.kill(process)
        self.client.close()

    def log(self, name: str) -> str:
        """The end of a process's output."""
        return (self.folder / f"{name}.log").read_text()[-4000:]

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*SEGTUNE, *arguments],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextmanager
def cluster(folder: Path, database_url: str, **settings: str) -> Iterator[Cluster]:
    """A server that answers; everything is gone afterwards."""
    built = Cluster(folder, database_url, **settings)
    try:
        built.start_server()
        yield built
    finally:
        built.stop()


def street_study(name: str, **search: Any) -> dict[str, Any]:
    """A small study of synthetic street scenes; an epoch takes some tenths of a second."""
    return {
        "name": name,
        "dataset": {
            "format": "synthetic",
            "classes": ["sky", "building", "road", "pole", "car", "cyclist"],
            "size": [48, 64],
            "train": 24,
            "val": 8,
        },
        "base": {
            "model": {
                "decoder": "deeplabv3plus",
                "encoder": "mobilenet_v3_small",  # its checkpoint is sent with every epoch
                "mid_channels": 16,
                "low_channels": 8,
            },
            "training": {"epochs": 6, "batch_size": 4},
        },
        "space": {
            "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
            "training.batch_size": {"choice": [4, 8]},
        },
        "search": {"trials": 4, "pruner": "none", **search},
    }


def light_study(name: str, **search: Any) -> dict[str, Any]:
    """The same for whoever need not catch it in the midst: an epoch takes a fourth of the time."""
    document = street_study(name, **search)
    document["base"]["model"]["encoder"] = "tu-test_efficientnet"
    return document


def reported(step: int) -> Callable[[Event], bool]:
    """Whether an event tells of a report of at least that step."""
    return lambda event: event.kind == "trial.reported" and event.data["step"] >= step


def ended(event: Event) -> bool:
    """Whether an event tells of a study's end."""
    return event.kind == "study.finished"


def assert_whole(client: Client, study: str) -> None:
    """Every completed trial has each of its epochs exactly once."""
    for trial in client.trials(study):
        if trial.state is TrialState.COMPLETED:
            steps = [step.step for step in client.steps(study, trial.number)]
            assert list(range(1, trial.epochs + 1)) == steps


def is_away(client: Client) -> bool:
    """Whether the server does not answer."""
    try:
        client.workers()
    except ServerUnreachable:
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _lines(path: Path, process: subprocess.Popen[bytes], start: int) -> Iterator[str]:
    """Lines of a log after a position as they come, until the process ends."""
    with path.open() as log:
        log.seek(start)
        while process.poll() is None:
            if line := log.readline():
                yield line
            else:
                _pause(process)


def _pause(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment, or until the process ends."""
    try:
        process.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        return


def metrics_by_step(client: Client, study: str, trial: int) -> Mapping[int, float]:
    """First objective of a trial by step."""
    return {step.step: step.metrics["miou"] for step in client.steps(study, trial)}
