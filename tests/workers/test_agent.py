"""The agent against a scripted server and a scripted trainer: every way a trial can go."""

import dataclasses
import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.conftest import QUICK, TRAINER
from tests.workers.fake_server import FakeServer, assignment, order
from tuner.errors import Forbidden, Unauthorized
from tuner.spec.messages import ArtifactRef, OutcomeKind
from workers.agent import run
from workers.settings import WorkerSettings

Work = Callable[..., int]
SCRIPT = """
import sys
from pathlib import Path
from workers.agent import run
from workers.limits import Limits
from workers.limits import Backoff
from workers.settings import WorkerSettings

server, home, trainer, plan = sys.argv[1:]
settings = WorkerSettings(server=server, home=Path(home), device="cpu", worker_name="w1")
limits = Limits(tick=0.02, shutdown_grace=0.2, backoff=Backoff(first=0.01, limit=0.05))
sys.exit(run(settings, command=[sys.executable, "-SE", trainer, plan], limits=limits))
"""


def outcome_of(server: FakeServer) -> tuple[OutcomeKind, int]:
    """Kind and step of the only outcome."""
    ((_, outcome),) = server.finished
    return outcome.kind, outcome.step


def leftovers(settings: WorkerSettings) -> list[Path]:
    """Outboxes on disk."""
    return list((settings.cache_folder / "leases").glob("*/header.json"))


def test_a_trial_is_trained_and_handed_in(server: FakeServer, work: Work) -> None:
    """Reports arrive in order, the model before the outcome, and nothing stays on disk."""
    server.waiting.append(assignment())
    assert work("heartbeat save=1 report=1 save=2 report=2 model finish=completed") == 0
    assert server.steps == [1, 2]
    assert outcome_of(server) == (OutcomeKind.COMPLETED, 2)
    assert server.uploads[-1].kind == "model"
    assert server.uploads[-1].content == b"weights"
    assert server.requests[-1] == "POST leases/lease-1/finish"


def test_a_preview_is_handed_in_once(server: FakeServer, work: Work) -> None:
    """What the trainer has drawn goes up after a report, however many follow."""
    server.waiting.append(assignment())
    work("preview report=1 report=2 finish=completed")
    assert [upload.content for upload in server.uploads if upload.kind == "preview"] == [b"picture"]


def test_nothing_stays_on_disk(server: FakeServer, work: Work, settings: WorkerSettings) -> None:
    """A delivered trial leaves neither outbox nor checkpoints behind."""
    server.waiting.append(assignment())
    work("save=1 report=1 finish=completed")
    assert list((settings.cache_folder / "leases").iterdir()) == []


def test_the_trainer_stays_warm(server: FakeServer, work: Work, settings: WorkerSettings) -> None:
    """Two trials are trained by one process."""
    server.waiting += [assignment("a"), assignment("b")]
    work("print=trained finish=completed", trials=2)
    assert (settings.home / "logs" / "w1.log").read_text() == "trained\ntrained\n"


def test_the_worker_says_what_it_can(server: FakeServer, work: Work) -> None:
    """A request for work names worker, device and versions."""
    server.waiting.append(assignment())
    work("finish=completed")
    asked = server.workers[0]
    assert asked["worker"] == "w1"
    assert asked["capabilities"]["device"]["kind"] == "cpu"
    assert "segtune" in asked["capabilities"]["versions"]


@pytest.mark.parametrize(
    ("action", "kind"),
    [("prune", "pruned"), ("pause", "paused"), ("stop", "stopped"), ("yield", "yielded")],
)
def test_a_verdict_is_obeyed(server: FakeServer, work: Work, action: str, kind: str) -> None:
    """The reply to a report ends the trial as it says."""
    server.waiting.append(assignment())
    server.verdicts[2] = order(action)
    work("save=1 report=1 save=2 report=2 save=3 report=3 finish=completed")
    assert server.steps == [1, 2]
    assert outcome_of(server) == (OutcomeKind(kind), 2)


@pytest.mark.parametrize("action", ["pause", "yield"])
def test_the_last_checkpoint_goes_up_before_the_outcome(
    server: FakeServer, work: Work, action: str
) -> None:
    """Whoever goes on with a trial finds the checkpoint of its last step."""
    server.waiting.append(assignment())
    server.verdicts[2] = order(action)
    work("save=1 report=1 save=2 report=2")
    newest = [upload for upload in server.uploads if upload.kind == "checkpoint"][-1]
    assert (newest.step, newest.content) == (2, b"checkpoint 2")
    assert server.requests[-1] == "POST leases/lease-1/finish"


@pytest.mark.parametrize(
    ("action", "kind"), [("yield", "yielded"), ("stop", "stopped"), ("prune", "pruned")]
)
def test_a_heartbeat_carries_orders(server: FakeServer, work: Work, action: str, kind: str) -> None:
    """An order that comes with a heartbeat ends the trial between two reports."""
    server.waiting.append(assignment(lease_seconds=0.05))

    def order_after_report(fake: FakeServer, name: str) -> None:
        if name.endswith("reports"):
            fake.heartbeat = order(action)

    server.on_request = order_after_report
    work("heartbeat report=1 until-yield save=1 finish=yielded")
    assert outcome_of(server) == (OutcomeKind(kind), 1)


def test_a_crash_is_an_outcome_with_its_log(server: FakeServer, work: Work) -> None:
    """A trainer that dies gives `crashed`, the end of its output, and a log artifact."""
    server.waiting.append(assignment())
    work("report=1 print=segmentation-fault-ahead kill")
    ((_, outcome),) = server.finished
    assert (outcome.kind, outcome.step, outcome.error_kind) == (OutcomeKind.CRASHED, 1, "crash")
    assert "SIGKILL" in (outcome.error or "")
    assert "segmentation-fault-ahead" in (outcome.error or "")
    assert server.uploads[-1].kind == "log"
    assert server.uploads[-1].content == b"segmentation-fault-ahead\n"


def test_an_exit_code_is_reported(server: FakeServer, work: Work) -> None:
    """A trainer that ends by itself in the midst of a trial has crashed too."""
    server.waiting.append(assignment())
    work("exit=3")
    assert "exit code 3" in (server.finished[0][1].error or "")


def test_a_crash_hands_in_the_newest_checkpoint(server: FakeServer, work: Work) -> None:
    """The next attempt goes on from the last checkpoint on disk."""
    server.waiting.append(assignment())
    work("save=1 report=1 save=2 kill")
    checkpoints = [upload.step for upload in server.uploads if upload.kind == "checkpoint"]
    assert checkpoints[-1] == 2


def test_work_goes_on_after_a_crash(server: FakeServer, work: Work) -> None:
    """A new trainer takes the next trial."""
    server.waiting += [assignment("a"), assignment("b")]
    work("exit=1", trials=2)
    assert [lease for lease, _ in server.finished] == ["a", "b"]


def test_a_silent_trainer_is_killed(server: FakeServer, work: Work) -> None:
    """No progress for `hang` seconds ends the attempt as `hung`."""
    server.waiting.append(assignment())
    ticking = itertools.count(0.0, 1.0)
    limits = dataclasses.replace(QUICK, hang=10.0, clock=lambda: next(ticking))
    work("report=1 print=stuck hang", limits=limits)
    ((_, outcome),) = server.finished
    assert (outcome.kind, outcome.step, outcome.error_kind) == (OutcomeKind.HUNG, 1, "hang")
    said, _, where = (outcome.error or "").partition("\n\nit was here:\n")
    assert said == "no progress for 10 s, so the trainer was killed; its last output:\nstuck"
    assert "in _do_hang" in where


def test_a_frozen_trainer_is_killed_too(server: FakeServer, work: Work) -> None:
    """A process that cannot say where it is ends as `hung` all the same."""
    server.waiting.append(assignment())
    ticking = itertools.count(0.0, 1.0)
    limits = dataclasses.replace(QUICK, hang=10.0, clock=lambda: next(ticking))
    work("report=1 print=stuck freeze", limits=limits)
    ((_, outcome),) = server.finished
    assert (outcome.kind, outcome.step, outcome.error_kind) == (OutcomeKind.HUNG, 1, "hang")
    assert (outcome.error or "").endswith("its last output:\nstuck\n\nit did not say where it was")


@pytest.mark.parametrize("kind", ["exception", "diverged", "data", "out_of_memory"])
def test_an_exception_is_a_failed_trial(server: FakeServer, work: Work, kind: str) -> None:
    """What the trainer raised reaches the server as it was classified."""
    server.waiting.append(assignment())
    work(f"report=1 fail={kind}")
    ((_, outcome),) = server.finished
    assert (outcome.kind, outcome.error_kind) == (OutcomeKind.FAILED, kind)
    assert outcome.error == "scripted"


def test_a_spoilt_trainer_is_replaced(
    server: FakeServer, work: Work, settings: WorkerSettings
) -> None:
    """After an exception the next trial gets a fresh process, whose log starts anew."""
    server.waiting += [assignment("a"), assignment("b")]
    work("print=once fail=exception", trials=2)
    assert (settings.home / "logs" / "w1.log").read_text() == "once\n"


def test_another_config_than_the_sampled_one_fails(server: FakeServer, work: Work) -> None:
    """The trainer echoes the digest of what it trained, and it must be the assigned one."""
    server.waiting.append(assignment())
    work("wrong-digest finish=completed")
    ((_, outcome),) = server.finished
    assert outcome.kind is OutcomeKind.FAILED
    assert "trained config 000000000000" in (outcome.error or "")


def test_a_stale_lease_is_dropped(server: FakeServer, work: Work, settings: WorkerSettings) -> None:
    """409 ends the trial without a crash or an outcome, and the next one is trained."""
    server.waiting += [assignment("a"), assignment("b")]
    server.stale = {"a"}
    assert work("heartbeat report=1 until-yield finish=yielded", trials=1) == 0
    assert server.finished == []
    assert leftovers(settings) == []


def test_work_goes_on_after_a_stale_lease(server: FakeServer, work: Work) -> None:
    """The trial after a dropped one is handed in."""
    server.waiting += [assignment("a"), assignment("b")]
    server.stale = {"a"}
    work("heartbeat report=1 report=2 finish=completed", trials=2)
    assert [lease for lease, _ in server.finished] == ["b"]


def test_training_goes_on_without_a_server(server: FakeServer, work: Work) -> None:
    """Reports of the time without a server arrive in order when it is back."""
    server.waiting.append(assignment())

    def leave(fake: FakeServer, name: str) -> None:
        attempts = fake.requests.count("POST leases/lease-1/reports")
        fake.away = 2 <= attempts < 6

    server.on_request = leave
    work("report=1 report=2 report=3 report=4 report=5 finish=completed")
    assert server.steps == [1, 2, 3, 4, 5]
    assert outcome_of(server) == (OutcomeKind.COMPLETED, 5)


def test_a_late_verdict_still_counts(server: FakeServer, work: Work) -> None:
    """A verdict on a report that waited in the outbox ends the trial."""
    server.waiting.append(assignment())
    server.verdicts[1] = order("prune")

    def leave(fake: FakeServer, name: str) -> None:
        fake.away = 1 <= fake.requests.count("POST leases/lease-1/reports") < 3

    server.on_request = leave
    work("heartbeat save=1 report=1 until-yield save=1 finish=yielded")
    assert outcome_of(server) == (OutcomeKind.PRUNED, 1)


def test_a_resumed_trial_gets_its_checkpoint(
    server: FakeServer, work: Work, settings: WorkerSettings
) -> None:
    """The checkpoint is fetched, and its digest checked, before training starts."""
    content = b"state of epoch 3"
    ref = ArtifactRef(
        id=9,
        name="checkpoint",
        kind="checkpoint",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    server.files[9] = content
    server.waiting.append(assignment(resume=ref, last_step=3))
    work("report=4 finish=completed")
    assert server.requests.index("GET artifacts/9") < server.requests.index(
        "POST leases/lease-1/reports"
    )
    assert outcome_of(server) == (OutcomeKind.COMPLETED, 4)


def test_a_damaged_checkpoint_is_not_used(
    server: FakeServer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    """With bytes that are not those announced the trial starts afresh."""
    ref = ArtifactRef(id=9, name="checkpoint", kind="checkpoint", size=1, sha256="0" * 64)
    server.files[9] = b"something else"
    server.waiting.append(assignment(resume=ref))
    work("report=1 finish=completed")
    assert "starts afresh" in caplog.text
    assert outcome_of(server) == (OutcomeKind.COMPLETED, 1)


def test_a_wrong_token_ends_the_worker(server: FakeServer, work: Work) -> None:
    """Asking again would not help, so the error comes out."""
    server.statuses["leases"] = 401
    with pytest.raises(Unauthorized, match="SEGTUNE_TOKEN"):
        work("finish=completed")


FORBIDDEN = b'{"type": "urn:segtune:forbidden", "detail": "this needs the scope worker"}'


def test_a_token_without_the_scope_ends_the_worker(server: FakeServer, work: Work) -> None:
    """As a wrong one does: the error says which scope is missing."""
    server.statuses["leases"], server.refusal = 403, FORBIDDEN
    with pytest.raises(Forbidden, match="scope worker"):
        work("finish=completed")


def test_a_report_outlives_a_token_without_the_scope(
    server: FakeServer, work: Work, settings: WorkerSettings
) -> None:
    """It stays in the outbox for a worker with another token, and is not set aside."""
    server.waiting.append(assignment())
    server.statuses["reports"], server.refusal = 403, FORBIDDEN
    with pytest.raises(Forbidden):
        work("heartbeat report=1 finish=completed")
    assert not (settings.home / "refused").exists()
    server.set(statuses={}, waiting=[assignment("b")])
    work("finish=completed")
    assert (server.steps, server.finished[0][0]) == ([1], "lease-1")


def test_a_refused_report_fails_the_trial(server: FakeServer, work: Work) -> None:
    """A report that the server cannot take is not kept silent."""
    server.waiting.append(assignment())
    server.statuses["reports"] = 422
    work("heartbeat report=1 report=2 finish=completed")
    ((_, outcome),) = server.finished
    assert outcome.kind is OutcomeKind.FAILED
    assert "refused what the worker had to say" in (outcome.error or "")


def test_stop_lets_the_trial_yield(server: FakeServer, work: Work) -> None:
    """A worker that is told to stop hands its trial and checkpoint back."""
    server.waiting.append(assignment())
    stop = threading.Event()

    def stop_after_report(fake: FakeServer, name: str) -> None:
        if name.endswith("reports"):
            stop.set()

    server.on_request = stop_after_report
    assert work("heartbeat report=1 until-yield save=1 finish=yielded", stop=stop) == 0
    assert outcome_of(server) == (OutcomeKind.YIELDED, 1)
    assert server.uploads[-1].content == b"checkpoint 1"


def test_stop_before_the_first_step_kills_the_trainer(server: FakeServer, work: Work) -> None:
    """Loading data does not listen, so a worker that must go does not wait for it."""
    server.waiting.append(assignment())
    stop = threading.Event()
    server.on_request = lambda fake, name: stop.set() if name == "PUT leases/lease-1" else None
    server.waiting[0] = assignment(lease_seconds=0.05)
    assert work("hang", stop=stop) == 0
    assert outcome_of(server) == (OutcomeKind.YIELDED, 0)


@pytest.mark.parametrize("then", [204, 503])
def test_a_worker_that_may_idle_so_long_ends_by_itself(
    server: FakeServer, settings: WorkerSettings, then: int
) -> None:
    """It ends so long after its last trial, whether there is no other or no answer."""
    server.waiting.append(assignment())

    def answer_so_after_the_trial(fake: FakeServer, name: str) -> None:
        if name.endswith("finish") and then != 204:
            fake.statuses["leases"] = then

    server.on_request = answer_so_after_the_trial
    command = [sys.executable, "-SE", str(TRAINER), "report=1 finish=completed"]
    limits = dataclasses.replace(QUICK, idle=0.05)
    assert run(settings, command=command, limits=limits) == 0
    assert outcome_of(server) == (OutcomeKind.COMPLETED, 1)
    assert server.workers[0]["wait"] == 0.05
    assert server.requests[-1] == "POST leases"


def _spawn(settings: WorkerSettings, plan: str) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parents[2])
    arguments = [settings.server, str(settings.home), str(TRAINER), plan]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, "PYTHONPATH": root},
        start_new_session=True,
    )


def test_sigterm_yields_and_exits_zero(server: FakeServer, settings: WorkerSettings) -> None:
    """One signal: checkpoint up, trial handed back, exit status 0."""
    server.waiting.append(assignment())
    with _spawn(settings, "heartbeat report=1 until-yield save=1 finish=yielded") as agent:
        server.wait_for(lambda: server.steps == [1])
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
    assert outcome_of(server) == (OutcomeKind.YIELDED, 1)
    assert server.uploads[-1].kind == "checkpoint"


def test_a_killed_agent_loses_no_report(
    server: FakeServer, settings: WorkerSettings, work: Work
) -> None:
    """Reports that a killed agent could not deliver are delivered by the next one."""
    server.waiting.append(assignment())
    server.on_request = lambda fake, name: fake.set(away="reports" in name or fake.away)
    with _spawn(settings, "heartbeat report=1 report=2 until-yield") as agent:
        server.wait_for(lambda: any("reports" in name for name in server.requests))
        (header,) = leftovers(settings)
        entries = header.with_name("entries.jsonl")
        server.wait_for(lambda: entries.read_bytes().count(b"\n") == 2)
        agent.kill()
        agent.wait(20)
    server.set(away=False, on_request=None, waiting=[assignment("next")])
    work("finish=completed")
    assert server.steps == [1, 2]
    assert [(lease, outcome.kind, outcome.step) for lease, outcome in server.finished] == [
        ("lease-1", OutcomeKind.CRASHED, 2),
        ("next", OutcomeKind.COMPLETED, 0),
    ]


def test_a_killed_agents_stale_outbox_is_dropped(
    server: FakeServer, settings: WorkerSettings, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    """An outbox whose lease has ended is deleted with a line in the log."""
    server.waiting.append(assignment())
    with _spawn(settings, "heartbeat report=1 until-yield") as agent:
        server.wait_for(lambda: server.steps == [1])
        agent.kill()
        agent.wait(20)
    server.set(stale={"lease-1"}, waiting=[assignment("next")])
    work("finish=completed")
    assert leftovers(settings) == []
    assert "streets/7: what was left behind is dropped" in caplog.text


def test_a_worker_that_stops_without_a_server_leaves_its_outbox(
    server: FakeServer, settings: WorkerSettings, work: Work
) -> None:
    """What could not be handed in before going is on disk, outcome included."""
    server.waiting.append(assignment())
    stop = threading.Event()

    def leave(fake: FakeServer, name: str) -> None:
        if name.endswith("reports"):
            fake.away = True
            stop.set()

    server.on_request = leave
    work("heartbeat report=1 until-yield finish=yielded", stop=stop)
    (header,) = leftovers(settings)
    lines = [
        json.loads(line) for line in header.with_name("entries.jsonl").read_text().splitlines()
    ]
    assert [line["kind"] for line in lines] == ["report", "outcome"]
