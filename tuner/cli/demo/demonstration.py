"""The demo's study and the steps from an empty folder to its result."""

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from tuner.cli import processes
from tuner.cli.documents import render, write
from tuner.cli.show import sentences
from tuner.cli.supervisor import Supervisor
from tuner.cli.watch import follow
from tuner.client import Client
from tuner.configs import studies
from tuner.errors import Conflict, NotFound, StorageError
from tuner.spec.address import local_address
from tuner.spec.views import StudyView
from tuner.wording import duration, quantity, savings
from workers.devices import cores

_MARK = ".segtune-demo"
_LOCK = "demo.lock"
_KEPT = frozenset({_MARK, _LOCK, "cache"})


@contextmanager
def prepared(folder: Path, *, keep: bool) -> Iterator[Path]:
    """The demo's folder, locked against a second demo; emptied of an earlier one unless kept.

    Raises:
        Conflict: the folder holds something else, or a demo runs in it.
        StorageError: it cannot be written.
    """
    from filelock import FileLock, Timeout

    missing = [name for name in ("torch", "fastapi") if find_spec(name) is None]
    if missing:
        raise NotFound(f"{' and '.join(missing)} not installed; install segtune[all] for the demo")
    home = folder.absolute()
    _take(home)
    try:
        with FileLock(home / _LOCK, timeout=0):
            if not keep:
                _empty(home)
            yield home
    except Timeout:
        raise Conflict(f"a demo runs in {folder} already; choose another with --folder") from None


def _take(home: Path) -> None:
    """Make the folder a demo's. Raises Conflict, StorageError."""
    try:
        if home.exists() and any(home.iterdir()) and not (home / _MARK).exists():
            raise Conflict(f"{home} holds something else than a demo; choose another by --folder")
        home.mkdir(parents=True, exist_ok=True)
        (home / _MARK).touch()
    except OSError as error:
        raise StorageError(
            f"{home} cannot be a demo's folder: {error.strerror}; choose another by --folder"
        ) from error


def _empty(home: Path) -> None:
    for path in home.iterdir():
        if path.is_dir() and path.name not in _KEPT:
            shutil.rmtree(path)
        elif path.name not in _KEPT:
            path.unlink()


def start(supervisor: Supervisor, home: Path, port: int) -> Client:
    """Start a server and workers that keep all they have in the folder. Raises ServerError."""
    environment = {
        "SEGTUNE_HOME": str(home),
        "SEGTUNE_DATABASE_URL": "",
        "SEGTUNE_ARTIFACTS": "",
        "SEGTUNE_CACHE": str(home / "cache"),
        "SEGTUNE_LABELS": "",
    }
    host = "127.0.0.1"
    url = local_address(host, port)
    serving = processes.server_command(host, port, environment, home / "server.log")
    processes.start_server(supervisor, serving, url)
    devices = processes.devices(None, None)
    if devices == ("cpu",) and cores() > 1:
        devices = ("cpu", "cpu")  # so small a model trains faster twice at once than on more cores
    for command in processes.worker_commands(url, devices, (), environment, home / "worker.log"):
        supervisor.start(command)
    return Client(url)


def run(client: Client) -> StudyView:
    """Submit the study under a name that is free, and follow it to its end."""
    taken = {study.name for study in client.studies()}
    document = studies.demo()
    stem = document["name"]
    names = (stem if index == 1 else f"{stem}-{index}" for index in count(1))
    study = client.submit({**document, "name": next(name for name in names if name not in taken)})
    follow(client, study.id)
    return client.study(study.id)


def summary(client: Client, study: StudyView, folder: Path) -> Iterator[str]:
    """Write `best.json` and give the lines that close the demo."""
    if study.started_at and study.finished_at:
        took = duration((study.finished_at - study.started_at).total_seconds())
        yield f"{quantity(study.counts.total, 'trial')} in {took}: {sentences.counts(study)}"
    yield f"{quantity(study.epochs, 'epoch')} trained, {savings(study)}"
    best = folder / "best.json"
    try:
        write(best, render(client.best(study.id), yaml=False))
    except NotFound as error:
        yield str(error)
    else:
        yield sentences.best(study)
        yield f"wrote {best}; train it again: segtune train {shlex.quote(str(best))}"
    port = client.server.rpartition(":")[2]
    home = shlex.quote(str(folder))
    yield f"dashboard: {client.server}/ by `segtune serve --home {home} --port {port}`"
