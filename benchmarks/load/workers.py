"""Simulated workers: the whole lease protocol, with made-up numbers instead of training."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from benchmarks.load.connection import Connection
from tuner.spec.messages import (
    Action,
    Assignment,
    Capabilities,
    Device,
    LeaseRequest,
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
)
from tuner.spec.vitals import Usage, Vitals

CLASSES = 11
REPORT_SECONDS = 10.0
_LEASES_AT_ONCE = 16
_LOG = "\n".join(f"epoch {number}: loss 0.31, miou 0.62, 48 images/s" for number in range(40))
_CONFUSION = tuple(
    tuple(4321 + row * column for column in range(CLASSES)) for row in range(CLASSES)
)


@dataclass
class Timings:
    """How long each kind of request took, in seconds, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def reports(self) -> int:
        """How many reports were answered."""
        return len(self.seconds.get("report", ()))


class Worker:
    """One worker: it holds a trial, and reports its steps one after another."""

    def __init__(self, server: str, index: int, timings: Timings) -> None:
        self._name, self._timings = f"load-{index:04d}", timings
        self._connection = Connection(server)
        self._trial: Assignment | None = None
        self._step = 0

    async def lease(self) -> None:
        """Take a trial."""
        capabilities = Capabilities(hostname=self._name, device=Device(kind="cuda", memory_gb=80))
        ask = LeaseRequest(worker=self._name, capabilities=capabilities, wait=20)
        body = await self._ask("lease", "POST", "", ask.model_dump_json(exclude={"unfit"}))
        if body:
            self._trial = Assignment.model_validate_json(body)
            self._step = self._trial.last_step

    async def report(self) -> None:
        """Hand in the next step as a trainer does, and obey the verdict; take a trial first."""
        if self._trial is None:
            await self.lease()
            return
        value = random.random()  # no secret
        report = Report(
            step=self._step + 1,
            metrics={"miou": value, "pixel_accuracy": value, "train_loss": 1 - value,
                     "data_wait": 0.01, "images_per_second": 48.0},
            confusion=_CONFUSION,
            seconds=REPORT_SECONDS,
            data="d" * 64,
        )  # fmt: skip
        batch = ReportBatch(reports=(report,))
        body = await self._ask("report", "POST", "/reports", batch.model_dump_json())
        self._step += 1
        await self._obey(body)

    async def renew(self) -> None:
        """Say that it lives, and how it is."""
        if self._trial is not None:
            usage = Usage(utilisation=0.9, memory_gb=40, memory_total_gb=80, process_gb=6)
            vitals = Vitals(usage=usage, log=f"{_LOG}\nepoch {self._step}")
            body = vitals.model_dump_json(exclude_none=True)
            await self._obey(await self._ask("heartbeat", "PUT", "", body))

    async def finish(self, kind: OutcomeKind = OutcomeKind.YIELDED) -> None:
        """Give the trial back, or end it as a verdict wants it."""
        if self._trial is not None:
            end = Outcome(kind=kind, step=self._step)
            await self._ask("finish", "POST", "/finish", end.model_dump_json())
            self._trial = None

    async def at_pace(self, until: float) -> None:
        """Report and renew as often as real workers do, until a time, and then go."""
        reports = perf_counter() + random.uniform(0, REPORT_SECONDS)
        pause = self._trial.lease_seconds / 3 if self._trial is not None else REPORT_SECONDS
        renewals = perf_counter() + random.uniform(0, pause)
        while (due := min(reports, renewals)) < until:
            await asyncio.sleep(due - perf_counter())
            if due == reports:
                reports += REPORT_SECONDS
                await self.report()
            else:
                renewals += pause
                await self.renew()

    async def at_once(self, is_over: Callable[[], bool]) -> None:
        """Report again as soon as there is an answer."""
        while not is_over():
            await self.report()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def _obey(self, body: bytes) -> None:
        if not body:
            return
        action = LeaseStatus.model_validate_json(body).verdict.action
        if action is not Action.CONTINUE and action.outcome is not None:
            await self.finish(action.outcome)

    async def _ask(self, kind: str, method: str, below: str, body: str) -> bytes:
        """The body of the answer; empty where there was none, or an error, which is noted."""
        headers = {"Lease-Token": self._trial.token} if self._trial is not None else {}
        path = f"/api/v1/leases{'/' + self._trial.lease if self._trial is not None else ''}{below}"
        began = perf_counter()
        try:
            answer = await self._connection.ask(method, path, body, headers)
        except (OSError, EOFError) as error:
            self._timings.errors.append(f"{kind}: {error!r}")
            await asyncio.sleep(1)
            return b""
        self._timings.seconds.setdefault(kind, []).append(perf_counter() - began)
        if answer.status >= 400:
            self._timings.errors.append(f"{kind}: {answer.status} {answer.body[:300]!r}")
            return b""
        return answer.body


async def lease_all(workers: Iterable[Worker]) -> None:
    """Let every worker take a trial, some at once."""
    places = asyncio.Semaphore(_LEASES_AT_ONCE)

    async def one(worker: Worker) -> None:
        async with places:
            await worker.lease()

    await asyncio.gather(*map(one, workers))


async def finish_all(workers: Iterable[Worker]) -> None:
    """Let every worker give its trial back, some at once, and go."""
    places = asyncio.Semaphore(_LEASES_AT_ONCE)

    async def one(worker: Worker) -> None:
        async with places:
            await worker.finish()
        worker.close()

    await asyncio.gather(*map(one, workers))


def study(name: str, parallel: int) -> dict[str, Any]:
    """A study whose trials outlast the benchmark, so that every worker keeps one."""
    return {
        "name": name,
        "dataset": {
            "format": "synthetic",
            "classes": [f"class{number}" for number in range(CLASSES)],
            "size": [64, 96],
        },
        "base": {
            "model": {"decoder": "ocr", "encoder": "resnet18"},
            "training": {"epochs": 50_000},
        },
        "space": {"optimizer.lr": {"float": [1e-4, 1e-1], "log": True}},
        "search": {"sampler": "random", "pruner": "none", "trials": 10**6, "parallel": parallel},
    }
