"""Worker processes that claim, train and die: `python -m tests.store.claimers URL COUNT VICTIMS`.

One parent imports everything and forks COUNT workers. The first VICTIMS of them kill themselves
with SIGKILL, each at another point of its first trial, one of them inside a transaction that
holds the study's lock; the others start as soon as each victim has a trial. Prints how many
survived and how many were killed.
"""

import os
import signal
import sys
import time

from sqlalchemy import text

from tests.store.fleet import Fleet
from tuner.errors import LeaseLost
from tuner.service import overview, upkeep
from tuner.spec.messages import Assignment
from tuner.store import studies
from tuner.store.engine import Database

STUDY = "streets"
LEASE_SECONDS = 2.0
POLL_SECONDS = 0.2
DEATHS = ("taken", "reported", "locked")


def work(url: str, index: int, *, death: str | None, taken: int) -> None:
    """Train until the study has ended, or until death comes; write to `taken` when it is due."""
    db = Database(url)
    fleet = Fleet(db, lease_seconds=LEASE_SECONDS)
    while not overview.study(db, STUDY).state.has_ended:
        held = fleet.ask(f"w{index}")
        if held is None:
            upkeep.release_expired(db)
            time.sleep(POLL_SECONDS)
            continue
        if death is not None:
            os.write(taken, b".")
        try:
            train(fleet, held, death=death)
        except LeaseLost:
            continue  # a busy machine: the lease ran out between two reports


def train(fleet: Fleet, held: Assignment, *, death: str | None) -> None:
    """Report every step that is left, and finish."""
    if death == "taken":
        os.kill(os.getpid(), signal.SIGKILL)
    for step in range(held.last_step + 1, held.config.training.epochs + 1):
        fleet.report(held, step)
        if death == "reported":
            os.kill(os.getpid(), signal.SIGKILL)
    if death == "locked":
        with fleet.db.transaction() as session:
            study = studies.lock(session, STUDY)
            session.execute(text("UPDATE studies SET drawn = 999 WHERE id = :id"), {"id": study.id})
            os.kill(os.getpid(), signal.SIGKILL)
    fleet.finish(held)


def fork(url: str, index: int, *, death: str | None, taken: int) -> int:
    """Start one worker; give its process id."""
    process = os.fork()
    if process == 0:
        try:
            work(url, index, death=death, taken=taken)
        except BaseException as error:
            sys.stderr.write(f"worker {index}: {error!r}\n")
            os._exit(1)
        os._exit(0)
    return process


def main(url: str, count: int, victims: int) -> None:
    """Run the workers, and print the number of survivors and of the killed."""
    victims_hold, taken = os.pipe()
    processes = [
        fork(url, index, death=DEATHS[index % len(DEATHS)], taken=taken) for index in range(victims)
    ]
    for _ in range(victims):
        os.read(victims_hold, 1)
    processes += [fork(url, index, death=None, taken=taken) for index in range(victims, count)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    sys.stdout.write(f"{codes.count(0)} {codes.count(-signal.SIGKILL)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
