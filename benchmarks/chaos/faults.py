"""The faults: what each does, how often it comes, and what takes it back."""

import heapq
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from threading import Thread
from typing import NamedTuple

import psutil
from sqlalchemy import make_url

from benchmarks.chaos.proxy import Link, Mode
from benchmarks.chaos.town import Town
from tests import postgres

_TICK = 0.02


class Undo(NamedTuple):
    """What takes a fault back, and after how many seconds."""

    seconds: float
    call: Callable[[], object]


@dataclass(frozen=True)
class Kind:
    """A kind of fault; `strike` gives None where it found nothing to break."""

    name: str
    weight: int
    strike: Callable[[Town, Random], Undo | None]


_DONE = Undo(0.0, lambda: None)


def kinds(database_url: str) -> tuple[Kind, ...]:
    """Those that a town on this database may meet."""
    is_sqlite = make_url(database_url).get_backend_name() == "sqlite"
    return (
        Kind("worker killed", 12, lambda town, draw: _kill(_worker(town, draw))),
        Kind("trainer killed", 12, lambda town, draw: _kill(_trainer(town, draw))),
        Kind("server killed", 5, lambda town, draw: _kill(town.server.running)),
        Kind("worker stopped past its lease", 7, partial(_stop, pick=_worker)),
        Kind("trainer stopped past the lease", 7, partial(_stop, pick=_trainer)),
        Kind("server stopped past all leases", 2, partial(_stop, pick=_server)),
        Kind("connections cut", 14, _cut),
        Kind("connections refused", 9, partial(_link, mode=Mode.REFUSED)),
        Kind("answers lost", 11, partial(_link, mode=Mode.DEAF)),
        Kind("connections silent", 4, partial(_link, mode=Mode.SILENT, least=4.0)),
        Kind("messages delayed", 10, _delay),
        Kind("disk full", 7, _fill),
        Kind("database locked", 4, _lock) if is_sqlite else Kind("database restarted", 4, _restart),
    )


def inject(
    town: Town, found: Sequence[Kind], *, faults: int, seconds: float, draw: Random
) -> Counter[str]:
    """Break the town so many times, evenly over the seconds; all is taken back afterwards."""
    struck: Counter[str] = Counter({kind.name: 0 for kind in found})
    undos: list[tuple[float, int, Callable[[], object]]] = []
    began = time.monotonic()
    try:
        for number, kind in enumerate(_deck(found, draw)):
            due = began + (struck.total() + draw.random()) * seconds / faults
            _wait(town, undos, due)
            undo = kind.strike(town, draw)
            if undo is None:
                continue
            struck[kind.name] += 1
            heapq.heappush(undos, (time.monotonic() + undo.seconds, number, undo.call))
            if struck.total() >= faults:
                break
    finally:
        for _, _, call in sorted(undos, key=lambda each: each[:2]):
            call()
    return struck


def _deck(found: Sequence[Kind], draw: Random) -> Iterator[Kind]:
    """Kinds without end, each as often as its weight says, every one among the first of them."""
    while True:
        first = list(found)
        rest = [kind for kind in found for _ in range(kind.weight - 1)]
        for part in (first, rest):
            draw.shuffle(part)
            yield from part


def _wait(town: Town, undos: list[tuple[float, int, Callable[[], object]]], until: float) -> None:
    """Supervise, and take back what is due, until that time."""
    while True:
        while undos and undos[0][0] <= time.monotonic():
            heapq.heappop(undos)[2]()
        town.supervise()
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(_TICK, left))


# ── Processes ────────────────────────────────────────────────────────────────────────────────────


def _server(town: Town, draw: Random) -> psutil.Process | None:
    return town.server.running


def _worker(town: Town, draw: Random) -> psutil.Process | None:
    return town.workers[draw.choice(town.names)].running


def _trainer(town: Town, draw: Random) -> psutil.Process | None:
    """That of some worker that has one."""
    names = draw.sample(town.names, len(town.names))
    return next((found for name in names if (found := town.trainer(name)) is not None), None)


def _kill(process: psutil.Process | None) -> Undo | None:
    return _DONE if _sent(process, signal.SIGKILL) else None


def _stop(
    town: Town, draw: Random, *, pick: Callable[[Town, Random], psutil.Process | None]
) -> Undo | None:
    process, seconds = pick(town, draw), town.lease * draw.uniform(1.2, 1.8)
    if not _sent(process, signal.SIGSTOP):
        return None
    return Undo(seconds, partial(_sent, process, signal.SIGCONT))


def _sent(process: psutil.Process | None, sign: int) -> bool:
    """Whether the process was there to get the signal; another one of its id gets none."""
    if process is None:
        return False
    with suppress(psutil.NoSuchProcess):
        process.send_signal(sign)
        return True
    return False


# ── Connections ──────────────────────────────────────────────────────────────────────────────────


def _links(town: Town, draw: Random) -> list[Link]:
    """One worker's in most cases, every fifth time all of them."""
    links = list(town.proxy.links.values())
    return links if draw.random() < 0.2 else [draw.choice(links)]


def _cut(town: Town, draw: Random) -> Undo:
    for link in _links(town, draw):
        town.proxy.call(link.cut)
    return _DONE


def _link(town: Town, draw: Random, *, mode: Mode, least: float = 0.5) -> Undo:
    links = _links(town, draw)

    def change(mode: Mode) -> None:
        for link in links:
            town.proxy.call(partial(_set, link, mode))

    change(mode)
    return Undo(draw.uniform(least, least + 3.0), partial(change, Mode.OPEN))


def _set(link: Link, mode: Mode) -> None:
    """Change a link; what was half swallowed must not go on as if nothing had been."""
    link.mode = mode
    if mode is not Mode.DEAF:
        link.cut()


def _delay(town: Town, draw: Random) -> Undo:
    links, seconds = _links(town, draw), draw.uniform(0.1, 1.0)
    for link in links:
        link.delay = seconds

    def back() -> None:
        for link in links:
            link.delay = 0.0

    return Undo(draw.uniform(1.0, 6.0), back)


# ── Disks and the database ───────────────────────────────────────────────────────────────────────


def _fill(town: Town, draw: Random) -> Undo:
    name = draw.choice(town.names)
    worker, disk = town.workers[name], town.disks[name]
    disk.fill(worker.tree)
    return Undo(draw.uniform(1.0, 5.0), lambda: disk.empty(worker.tree))


def _lock(town: Town, draw: Random) -> Undo | None:
    """Hold SQLite's write lock from another process than the server."""
    path = str(make_url(town.database_url).database)
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:  # another one holds it
        connection.close()
        return None
    return Undo(draw.uniform(0.5, 1.6) * town.lease, connection.close)


def _restart(town: Town, draw: Random) -> Undo | None:
    """Restart PostgreSQL as after a crash, without waiting for it here."""
    if town.outage is not None:
        return None
    town.outage = began = time.monotonic()

    def restart() -> None:
        try:
            postgres.restart(Path(str(make_url(town.database_url).query["host"])))
        finally:
            town.outages.append((began, time.monotonic()))
            town.outage = None

    thread = Thread(target=restart, name="restart")
    thread.start()
    return Undo(5.0, thread.join)
