"""Ten minutes of faults on each database, and what must hold afterwards.

A server and six workers train a tiny model. Workers, trainers and server are killed and stopped,
the database is restarted or locked, connections are cut, refused, delayed and swallowed, and disks
run full, by a plan that the seed decides. Then all is left in peace, the study ends, and the checks
of `verify` are printed; the exit code is 1 when one of them fails.

    python -m benchmarks.chaos [--quick] [--minutes 10] [--database both] [--faults 320] [--seed 0]
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.chaos import verify
from benchmarks.chaos.faults import inject, kinds
from benchmarks.chaos.study import NAME, study
from benchmarks.chaos.town import LEASE, Town, town
from benchmarks.machine import conclude, describe
from tests import postgres
from tuner.errors import SegtuneError

DATABASES = ("sqlite", "postgresql")
WORKERS = 6
EPOCHS = 60
PATIENCE = 300.0  # seconds for what is left to train once the faults are over


class Plan(NamedTuple):
    """How much is broken, and of what."""

    minutes: float
    faults: int
    seed: int
    workers: int = WORKERS
    epochs: int = EPOCHS
    lease: float = LEASE
    pruner: str = "none"


class Result(NamedTuple):
    """The faults by kind, and the checks with what is wrong."""

    faults: Counter[str]
    checks: dict[str, list[str]]
    trials: int
    attempts: int
    disk: str

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.checks.values())


def run(folder: Path, database_url: str, plan: Plan) -> Result:
    """Break a town in this folder, leave it in peace, and look at what is left."""
    with town(folder, database_url, plan.workers, lease=plan.lease) as built:
        built.client.submit(study(plan.epochs, plan.seed, plan.pruner))
        built.until(lambda: _all_train(built), seconds=PATIENCE, what="a trial for each worker")
        found = kinds(database_url)
        seconds, draw = 60 * plan.minutes, Random(plan.seed)
        faults = inject(built, found, faults=plan.faults, seconds=seconds, draw=draw)
        _let_finish(built)
        record = verify.Record(built.client)
        strays = verify.strays(built)
        codes = built.stop()
        checks = {
            f"at least {plan.faults} faults, of every kind": _unbroken(faults, plan.faults),
            **verify.whole(record),
            "every artifact whole": verify.kept(built, record),
            "no orphan process": strays + verify.remains(built, codes),
            "no error 5xx": verify.answers(built),
            "no process ended by itself": verify.ends(built),
            "no traceback in a log": verify.tracebacks(built),
        }
        attempts = sum(trial.attempts for trial in record.trials)
        return Result(faults, checks, len(record.trials), attempts, built.disk)


def _all_train(built: Town) -> bool:
    """Whether every worker has something to lose."""
    return built.client.study(NAME).counts.running == len(built.workers)


def _let_finish(built: Town) -> None:
    """Draw no further trial, and wait for those that there are."""

    def closed() -> bool:
        with suppress(SegtuneError):
            total = built.client.study(NAME).counts.total
            built.client.change(NAME, trials=total)
            return True
        return False

    def ended() -> bool:
        time.sleep(0.3)
        with suppress(SegtuneError):
            return built.client.study(NAME).state.has_ended
        return False

    built.until(closed, seconds=PATIENCE, what="an answer of the server")
    with suppress(TimeoutError):  # the checks tell what is missing
        built.until(ended, seconds=PATIENCE, what="the study's end")


def _unbroken(faults: Mapping[str, int], wanted: int) -> list[str]:
    total = sum(faults.values())
    found = [f"{name} never happened" for name, count in faults.items() if not count]
    return [*found, f"only {total} faults"] if total < wanted else found


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """URL of an empty database of its own, which keeps what it has committed through a crash."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'segtune.db'}"
        return
    url = postgres.start(owner=os.getpid(), synchronous_commit="on", full_page_writes="on")
    try:
        yield url
    finally:
        postgres.stop(Path(url.partition("host=")[2]))


def tell(kind: str, result: Result) -> None:
    """Print the table for people."""
    print(f"\n{kind}: {result.trials} trials, {result.attempts} attempts, disk: {result.disk}\n")
    print("| fault | times |\n|---|---|")
    for name, count in result.faults.items():
        print(f"| {name} | {count} |")
    print(f"| **all** | **{result.faults.total()}** |\n")
    print("| check | holds |\n|---|---|")
    for name, problems in result.checks.items():
        print(f"| {name} | {'**no**' if problems else 'yes'} |")
        for problem in problems[:20]:
            print(f"  - {problem}")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run on the databases that were asked for; 1 when a check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="30 faults in half a minute, SQLite")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--faults", type=int, help="default: 32 a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pruner", default="none", help="promote: trials pause and go on, too")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the logs there")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes everything down on its way out
    minutes = 0.5 if options.quick else options.minutes
    chosen = DATABASES if options.database == "both" else (options.database,)
    faults = options.faults or round(32 * minutes)
    plan = Plan(minutes, faults, options.seed, pruner=options.pruner)
    result: dict[str, Any] = describe("sqlalchemy", "fastapi")
    holds = True
    for kind in chosen[:1] if options.quick else chosen:
        folder = Path(tempfile.mkdtemp(prefix="segtune-chaos-"))
        with database(kind, folder) as url:
            found = run(folder, url, plan)
        tell(kind, found)
        holds = holds and found.holds
        result[f"{kind}_faults"] = found.faults.total()
        result[f"{kind}_trials"] = found.trials
        result[f"{kind}_attempts"] = found.attempts
        result[f"{kind}_holds"] = found.holds
        if found.holds and not options.keep:
            shutil.rmtree(folder)
        else:
            print(f"\nlogs and database: {folder}")
    conclude(result)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
