"""Trials per second through the whole control plane, against Optuna's RDBStorage used directly.

Both sides use the same PostgreSQL and the same worker processes: one trial is a draw of eight
mixed params, five reports and an end. Ours goes over HTTP through one server process; Optuna's
workers talk to the database themselves.

    python -m benchmarks.control_plane [--quick] [--sampler auto] [--workers 16] [--seconds 20]
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import optuna
import psutil
import psycopg
from sqlalchemy import make_url

from benchmarks.fleet import Job, Rate, drive
from benchmarks.machine import conclude, describe
from tests import postgres
from tuner.service import assignments, leases, studies
from tuner.service.searches import Searches
from tuner.spec.messages import LeaseRequest, Outcome, OutcomeKind, Report, ReportBatch
from tuner.spec.study import StudySpec
from tuner.store.engine import Database, normalize
from tuner.store.migrate import upgrade
from workers.client import ServerClient

REPORTS = 5
REQUESTS = REPORTS + 2  # of one trial: beside its reports a lease and an end
FINISHED = 1_000
SPACE: dict[str, Any] = {
    "optimizer.lr": {"float": [1e-4, 1e-1], "log": True},
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "loss.label_smoothing": {"float": [0.0, 0.15]},
    "augment.rotate": {"int": [0, 30]},
    "training.batch_size": {"int": [2, 32]},
    "model.decoder": {"choice": ["ocr", "deeplabv3", "deeplabv3plus"]},
    "model.encoder": {"choice": ["resnet18", "resnet34", "resnet50", "mobilenet_v2"]},
    "optimizer.name": {"choice": ["sgd", "adamw"]},
}


def study(sampler: str) -> StudySpec:
    """The study that both sides run."""
    return StudySpec.model_validate(
        {
            "name": f"bench-{sampler}",
            "dataset": {"format": "synthetic", "classes": ["sky", "road"], "size": [64, 96]},
            "base": {
                "model": {"decoder": "ocr", "encoder": "resnet18"},
                "training": {"epochs": REPORTS},
            },
            "space": SPACE,
            "search": {"sampler": sampler, "pruner": "none", "trials": 10**6, "parallel": 10**4},
        }
    )


def our_worker(server: str, index: int) -> Job:
    """One worker of ours, over HTTP."""
    client = ServerClient(server)
    request = LeaseRequest(worker=f"bench-{index}", wait=5)

    def one_trial() -> float:
        began = time.perf_counter()
        trial = client.lease(request)
        waited = time.perf_counter() - began
        assert trial is not None, "the benchmark's study has no end"
        for step in range(1, REPORTS + 1):
            client.report(trial.lease, trial.token, (made_up(step, trial.trial),))
        client.finish(trial.lease, trial.token, Outcome(kind=OutcomeKind.COMPLETED))
        return waited

    return one_trial


def made_up(step: int, trial: int) -> Report:
    """A report whose value depends on nothing but trial and step."""
    value = ((trial * 7919) % 1000) / 1000 * step / REPORTS
    return Report(step=step, metrics={"miou": value, "train_loss": 1 - value}, seconds=1.0)


def optuna_worker(url: str, sampler: str, index: int) -> Job:
    """One worker of Optuna's, on the database."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        study_name="bench",
        storage=optuna.storages.RDBStorage(url),
        sampler=optuna_sampler(sampler, index),
        pruner=optuna.pruners.NopPruner(),
    )
    distributions = optuna_space()

    def one_trial() -> float:
        began = time.perf_counter()
        trial = study.ask(distributions)
        waited = time.perf_counter() - began
        for step in range(1, REPORTS + 1):
            value = made_up(step, trial.number).metrics["miou"]
            trial.report(value, step)
            trial.should_prune()
        study.tell(trial, value)
        return waited

    return one_trial


def optuna_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's own sampler with its own defaults."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def optuna_space() -> dict[str, optuna.distributions.BaseDistribution]:
    """The same eight params as Optuna's distributions."""
    from tuner.optuna_encoding import distributions

    return distributions(study("random").space)


def fill_ours(url: str, spec: StudySpec) -> None:
    """Put finished trials into the study through the service itself, params at random."""
    db, searches = Database(url), Searches()
    warm = spec.model_copy(
        update={
            "search": spec.search.model_copy(update={"sampler": study("random").search.sampler})
        }
    )
    studies.submit(db, warm)
    for _ in range(FINISHED):
        trial = assignments.take(
            db, LeaseRequest(worker="fill"), lease_seconds=60, searches=searches
        )
        assert trial is not None
        reports = tuple(made_up(step, trial.trial) for step in range(1, REPORTS + 1))
        batch = ReportBatch(reports=reports)
        leases.report(db, trial.lease, trial.token, batch, lease_seconds=60, searches=searches)
        leases.finish(db, trial.lease, trial.token, Outcome(kind=OutcomeKind.COMPLETED))
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("UPDATE studies SET spec = %s", [spec.model_dump_json()])
    db.dispose()


def fill_optuna(url: str) -> None:
    """Put the same finished trials into Optuna's database."""
    from tuner.optuna_encoding import encode

    storage = optuna.storages.RDBStorage(url)
    bench = optuna.load_study(study_name="bench", storage=storage)
    space, suggester = study("random").space, random_params()
    for number in range(FINISHED):
        params, distributions = encode(space, next(suggester))
        steps = {step: made_up(step, number).metrics["miou"] for step in range(1, REPORTS + 1)}
        bench.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions=distributions,
                values=[steps[REPORTS]],
                intermediate_values=steps,
            )
        )


def random_params() -> Iterator[dict[str, Any]]:
    """Params drawn by our own random sampler."""
    from tuner.search.rules import Rules
    from tuner.search.suggest import Suggester

    suggester = Suggester(Rules(study("random")))
    for number in range(1, FINISHED + 1):
        yield suggester.draw((), number).params


def compare(
    admin: str, sampler: str, *, finished: bool, workers: int, seconds: float
) -> dict[str, Any]:
    """One row of the table: our rate, Optuna's rate, their ratio."""
    name = f"{sampler}_at_{FINISHED}" if finished else sampler
    with database(admin, f"ours_{name}") as url:
        upgrade(url)
        if finished:
            fill_ours(url, study(sampler))
        else:
            db = Database(url)
            studies.submit(db, study(sampler))
            db.dispose()
        with server(url) as (address, process):
            began = processor_seconds(process)
            ours = drive(our_worker, (address,), workers=workers, seconds=seconds)
            spent = processor_seconds(process) - began
    with database(admin, f"optuna_{name}") as url:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        optuna.create_study(study_name="bench", storage=url, direction="maximize")
        if finished:
            fill_optuna(url)
        theirs = drive(optuna_worker, (url, sampler), workers=workers, seconds=seconds)
    tell(name, ours, theirs)
    cost = 1000 * spent / (ours.trials * REQUESTS)
    print(f"{name:12} segtune's server: {cost:.2f} ms of processor time per request", flush=True)
    return {
        f"{name}_ratio": round(ours.per_second / theirs.per_second, 2),
        f"{name}_ours_per_s": round(ours.per_second, 1),
        f"{name}_optuna_per_s": round(theirs.per_second, 1),
        f"{name}_server_cpu_ms_per_request": round(cost, 2),
        f"{name}_worker_cpu_ms_per_request": round(
            1000 * ours.processor_seconds / (ours.trials * REQUESTS), 2
        ),
        f"{name}_lease_p50_ms": round(1000 * ours.lease_p50, 1),
        f"{name}_lease_p99_ms": round(1000 * ours.lease_p99, 1),
        f"{name}_optuna_ask_p99_ms": round(1000 * theirs.lease_p99, 1),
    }


def tell(name: str, ours: Rate, theirs: Rate) -> None:
    """Print a row for people."""
    for who, rate in (("segtune", ours), ("optuna RDBStorage", theirs)):
        print(
            f"{name:12} {who:18} {rate.per_second:7.1f} trials/s   draw p50 "
            f"{1000 * rate.lease_p50:6.1f} ms   p99 {1000 * rate.lease_p99:6.1f} ms",
            flush=True,
        )


@contextmanager
def database(admin: str, name: str) -> Iterator[str]:
    """A database of that name, for as long as the block runs."""
    with psycopg.connect(plain(admin), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
        yield normalize(make_url(admin).set(database=name).render_as_string(hide_password=False))
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def plain(url: str) -> str:
    """The URL as libpq spells it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def server(
    url: str, *, port: int = 8765, processes: int = 1
) -> Iterator[tuple[str, psutil.Process]]:
    """A real server on that database: its address, and its process, or what runs its processes."""
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tuner.cli.app", "serve", "--port", str(port)]
    command += ["--processes", str(processes)]
    environment = {**os.environ, "SEGTUNE_DATABASE_URL": url, "SEGTUNE_LOG_LEVEL": "warning"}
    process = subprocess.Popen(command, env=environment)
    try:
        wait_until(lambda: httpx.get(f"{address}/health/ready").is_success)
        wait_until(lambda: processes == 1 or _listening(process.pid) == processes)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _listening(parent: int) -> int:
    """How many children of a process listen."""
    return sum(
        any(each.status == "LISTEN" for each in child.net_connections())
        for child in psutil.Process(parent).children()
    )


def processor_seconds(process: psutil.Process) -> float:
    """Processor time that a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def wait_until(is_ready: Callable[[], bool], *, seconds: float = 60) -> None:
    """Ask again and again until the server answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if is_ready():
                return
        time.sleep(0.2)
    raise TimeoutError(f"the server did not answer within {seconds:g} s")


def main() -> None:
    """Run the rows and print their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="random row only, within a minute")
    parser.add_argument("--sampler", help="a row of this one alone, at 1,000 finished trials")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    seconds = 8 if options.quick else options.seconds
    admin = os.environ.get("TEST_DATABASE_URL") or postgres.start(owner=os.getpid())
    result: dict[str, Any] = describe("optuna", "sqlalchemy", "fastapi")
    rows = [("random", False)] if options.quick else [("random", False), ("tpe", True)]
    if options.sampler:
        rows = [(options.sampler, True)]
    for sampler, finished in rows:
        result |= compare(
            admin, sampler, finished=finished, workers=options.workers, seconds=seconds
        )
    conclude(result)


if __name__ == "__main__":
    main()
