"""What a worker tells of itself, to servers of this release and of the one before."""

import logging
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from tests.workers.conftest import QUICK, TRAINER
from tests.workers.fake_server import FakeServer, assignment, order
from tuner.spec.logs import BYTES, HIDDEN
from tuner.spec.messages import Device, OutcomeKind
from tuner.spec.vitals import Usage, Vitals
from workers.agent import run
from workers.settings import WorkerSettings
from workers.usage import UsageMeter
from workers.vitals import Pulse, secrets_in

Work = Callable[..., int]
BEAT = "PUT leases/lease-1"
SOON: dict[str, Any] = {"lease_seconds": 0.05}  # a heartbeat every 17 ms


def until_heard(server: FakeServer, beats: int) -> None:
    """Let the trainer that waits end once the server has heard so many heartbeats."""

    def watch(fake: FakeServer, _: str) -> None:
        if fake.requests.count(BEAT) >= beats:
            fake.heartbeat = order("yield")

    server.on_request = watch


def fake(plan: str) -> list[str]:
    """The command of a trainer that follows a plan."""
    return [sys.executable, "-SE", str(TRAINER), plan]


def test_heartbeats_say_how_the_worker_is(server: FakeServer, work: Work) -> None:
    """Usage comes each time, the log where it has changed, and all of it with the end."""
    server.waiting.append(assignment(**SOON))
    until_heard(server, 4)
    work("heartbeat print=epoch-1 until-yield finish=yielded")
    logs = [said["log"] for said in server.vitals if "log" in said]
    assert logs == ["epoch-1\n"]
    assert all(0 <= said["usage"]["utilisation"] <= 1 for said in server.vitals)
    assert server.vitals[0]["usage"]["process_gb"] > 0


def test_the_end_brings_the_last_lines(server: FakeServer, work: Work) -> None:
    """A trial that is shorter than a heartbeat has a log too, and each its own."""
    server.waiting += [assignment("a"), assignment("b")]
    work("print=one report=1 print=two finish=completed", trials=2)
    assert server.logs == ["one\ntwo\n"] * 2
    assert server.vitals == []


def test_a_server_of_the_release_before_is_told_less(server: FakeServer, work: Work) -> None:
    """It passes the heartbeat's body over, and gets the outcome without a log."""
    server.set(is_older=True)
    server.waiting.append(assignment(**SOON))
    until_heard(server, 3)
    work("heartbeat print=epoch-1 report=1 until-yield finish=yielded")
    ((_, outcome),) = server.finished
    assert (outcome.kind, outcome.log) == (OutcomeKind.YIELDED, None)
    assert server.requests.count("POST leases/lease-1/finish") == 2


def test_a_lease_is_not_lost_over_vitals(
    server: FakeServer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    """Where something on the way refuses the body, the heartbeat goes without it."""
    server.set(refuses_vitals=True)
    server.waiting.append(assignment(**SOON))
    until_heard(server, 5)
    work("heartbeat print=epoch-1 until-yield finish=yielded")
    assert len(server.vitals) < server.requests.count(BEAT)
    assert len(server.finished) == 1
    assert "lease not renewed" not in caplog.text


def test_no_secret_leaves_the_machine(
    server: FakeServer, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server and lease tokens, values of variables that are called so, passwords of addresses."""
    monkeypatch.setenv("HF_TOKEN", "hf_hushhush")
    server.waiting.append(assignment())
    mine = settings.model_copy(update={"token": SecretStr("server-secret")})
    words = "server-secret,token-of-lease-1,hf_hushhush,https://me:pass@hub/x"
    run(mine, max_trials=1, command=fake(f"print={words} finish=completed"), limits=QUICK)
    assert server.logs == [f"{HIDDEN},{HIDDEN},{HIDDEN},https://{HIDDEN}@hub/x\n"]


def test_a_drained_worker_says_so_and_goes_on_asking(
    server: FakeServer, settings: WorkerSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, and once that it is over; then it trains again."""
    caplog.set_level(logging.INFO)
    server.set(drained=True)

    def undrain(fake: FakeServer, name: str) -> None:
        if len(fake.workers) == 2:
            fake.drained = False
            fake.waiting.append(assignment())

    server.on_request = undrain
    run(settings, max_trials=1, command=fake("finish=completed"), limits=QUICK)
    assert caplog.text.count("this worker is drained") == 1
    assert caplog.text.count("is not drained any more") == 1
    assert len(server.finished) == 1


def test_a_log_that_does_not_change_is_not_sent_again() -> None:
    """Only what the server has taken in counts as told; what cannot be read says nothing."""
    lines = ["one\n"]

    def read(limit: int) -> str:
        if not lines:
            raise OSError("gone")
        return "".join(lines)[-limit:]

    pulse = Pulse(Usage, read)
    assert pulse.vitals().log == "one\n"
    said = pulse.vitals()
    assert said.log == "one\n"
    pulse.arrived(said)
    assert pulse.vitals() == Vitals(usage=Usage())
    lines.append("two\n")
    assert pulse.vitals().log == "one\ntwo\n"
    lines.append("x" * 3 * BYTES)
    assert len((pulse.vitals().log or "").encode()) == BYTES
    lines.clear()
    assert pulse.vitals().log is None


def test_an_empty_log_is_not_sent() -> None:
    """A trainer that has printed nothing yet has no log."""
    assert Pulse(Usage, lambda limit: "").vitals().log is None


def test_secrets_are_known_by_the_names_of_variables() -> None:
    """Tokens, passwords and keys; not what everybody may see."""
    environment = {"HF_TOKEN": "a", "AWS_SECRET_ACCESS_KEY": "b", "DB_PASSWORD": "c", "HOME": "d"}
    environment |= {"WANDB_API_KEY": "e", "EMPTY_TOKEN": "", "KEYBOARD": "f"}
    assert secrets_in(environment) == ("a", "b", "c", "e")


def test_a_cpu_worker_looks_at_its_machine() -> None:
    """Shares and gigabytes that make sense; the memory of a process that is gone is not known."""
    usage = UsageMeter(Device(kind="cpu"), os.getpid()).read()
    assert usage.utilisation is not None
    assert 0 < (usage.process_gb or 0) <= (usage.memory_total_gb or 0)
    assert 0 < (usage.memory_gb or 0) <= (usage.memory_total_gb or 0)
    assert UsageMeter(Device(kind="cpu"), 2**22).read().process_gb is None
    assert UsageMeter(Device(kind="mps"), os.getpid()).read().utilisation is None


class _Nvml(SimpleNamespace):
    """NVIDIA's library, of one GPU, some of whose questions may have no answer."""

    class NVMLError(Exception):
        """As the library calls it."""

    def __init__(self, **wrong: bool) -> None:
        super().__init__(wrong=wrong, open=0)

    def nvmlInit(self) -> None:  # noqa: N802  # the library's names
        self._ask("init")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._ask("handle")
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=3 << 30, total=16 << 30)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        self._ask("rates")
        return SimpleNamespace(gpu=97)

    def _ask(self, what: str) -> None:
        if what in self.wrong:
            raise self.NVMLError(what)


@pytest.mark.parametrize(
    ("wrong", "utilisation", "memory"),
    [
        ({}, 0.97, 3.0),
        ({"rates": True}, None, 3.0),
        ({"handle": True}, None, None),
        ({"init": True}, None, None),
    ],
)
def test_a_gpu_worker_asks_its_driver(
    wrong: dict[str, bool],
    utilisation: float | None,
    memory: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the driver does not say is not known; no error of it reaches the heartbeat."""
    nvml = _Nvml(**wrong)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    usage = UsageMeter(Device(kind="cuda", index=1), 1).read()
    assert (usage.utilisation, usage.memory_gb) == (utilisation, memory)
    assert nvml.open == 0
