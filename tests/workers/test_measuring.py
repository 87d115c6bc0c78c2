"""A worker measures a network before its first epoch, and obeys what the server makes of it."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.workers.fake_server import FakeServer, assignment, order
from tuner.spec.deployment import Deployment, Measured
from tuner.spec.messages import Action, Outcome, OutcomeKind, Verdict
from workers import trainer
from workers.protocol import Start, line
from workers.trainer import Trainer

Work = Callable[..., int]
HERE = Deployment(size=(32, 48))


def order_at_once(server: FakeServer, action: str) -> None:
    """Let this be the verdict on what is measured."""
    server.verdicts[0] = order(action)


def test_what_is_measured_comes_before_the_first_report(server: FakeServer, work: Work) -> None:
    """The server gets it under the lease, with the device that measured."""
    server.waiting.append(assignment(measure=HERE))
    work("measure=21.5 report=1 report=2 finish=completed")
    (found,) = server.measured
    assert (found.measurements.latency_ms, found.device) == (21.5, "abacus")
    told = [name for name in server.requests if name.endswith(("measurements", "reports"))]
    assert told[0] == "POST leases/lease-1/measurements"
    assert server.finished[0][1].kind is OutcomeKind.COMPLETED


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("prune", OutcomeKind.PRUNED),
        ("yield", OutcomeKind.YIELDED),
        ("stop", OutcomeKind.STOPPED),
    ],
)
def test_the_verdict_is_obeyed_before_any_epoch(
    server: FakeServer, work: Work, action: str, kind: OutcomeKind
) -> None:
    """No step is reported, and the outcome is the one that was asked for."""
    order_at_once(server, action)
    server.waiting.append(assignment(measure=HERE))
    work("measure=99 report=1 finish=completed")
    assert server.steps == []
    assert [(outcome.kind, outcome.step) for _, outcome in server.finished] == [(kind, 0)]


def test_a_server_that_is_away_does_not_stop_training(server: FakeServer, work: Work) -> None:
    """Training goes on, and what was measured still arrives before the reports."""
    server.on_request = _away_at_first
    server.waiting.append(assignment(measure=HERE))
    work("measure=21.5 report=1 finish=completed")
    assert len(server.measured) == 1
    assert server.steps == [1]
    assert server.finished[0][1].kind is OutcomeKind.COMPLETED


def _away_at_first(server: FakeServer, name: str) -> None:
    """Let the first delivery of measurements fail."""
    server.statuses = {"measurements": 503}
    if server.requests.count("POST leases/lease-1/measurements") > 1:
        server.statuses = {}


def test_a_lease_that_was_lost_ends_it(server: FakeServer, work: Work) -> None:
    """The stale worker drops the trial without an outcome, as after a report."""
    server.stale.add("lease-1")
    server.waiting.append(assignment(measure=HERE))
    work("measure=21.5 report=1 finish=completed")
    assert (server.steps, server.finished) == ([], [])


def test_messages_without_it_are_those_of_the_release_before() -> None:
    """A worker or trainer that does not know the key is not sent it."""
    start = Start(config=assignment().config, folder=Path("files"))
    assert b"measure" not in line(start)
    assert "measure" not in assignment().model_dump_json()
    assert "measure" in assignment(measure=HERE).model_dump_json()


class Told:
    """The agent's end of a trainer's pipes: answers what is measured, and keeps it."""

    def __init__(self, action: Action) -> None:
        self.found: list[Measured] = []
        self.limits: list[float | None] = []
        self._verdict = Verdict(action=action)

    def loading(self, *, seconds: float | None = None) -> Any:
        """Send no heartbeats; measuring has an end, loading data has none."""
        self.limits.append(seconds)
        return nullcontext()

    def measured(self, measured: Measured) -> Verdict:
        """Answer."""
        self.found.append(measured)
        return self._verdict


@pytest.mark.parametrize(("action", "epochs"), [(Action.PRUNE, 0), (Action.CONTINUE, 1)])
def test_an_infeasible_network_trains_no_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action: Action, epochs: int
) -> None:
    """A real network is measured in the trainer; its training begins only if it may go on."""
    pytest.importorskip("torch")
    from tests.training.samples import config

    trained: list[Start] = []

    def train(self: Trainer, start: Start, data: Any, resume: Any) -> Outcome:
        trained.append(start)
        return Outcome(kind=OutcomeKind.COMPLETED, step=2)

    monkeypatch.setattr(Trainer, "_trained", train)
    monkeypatch.setattr(trainer, "draw", lambda start, data: None)
    channel: Any = Told(action)
    process = Trainer(channel, "cpu", 1, tmp_path, ())
    start = Start(config=config(), folder=tmp_path, measure=HERE)
    finished = process.run(start)
    assert len(trained) == epochs
    kinds = {0: OutcomeKind.PRUNED, 1: OutcomeKind.COMPLETED}
    assert finished.outcome.kind is kinds[epochs], finished.outcome.error
    assert channel.found[0].measurements.latency_ms > 0
    assert [limit is None for limit in channel.limits] == [True, False]


def test_a_weights_file_is_read_where_training_reads_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It may hold a pruned network: under the worker's roots it is measured, elsewhere it is said
    to be missing.
    """
    pytest.importorskip("torch")
    from tests.training.samples import config
    from tuner.training.network.model import build
    from tuner.training.network.model_files import write_model

    write_model(tmp_path / "model.pt", build(config(), mean=[0.0] * 3, std=[1.0] * 3), config())
    monkeypatch.setattr(trainer, "draw", lambda start, data: None)
    start = Start(
        config=config({"model.weights": "model.pt"}), folder=tmp_path / "files", measure=HERE
    )
    for roots in ((tmp_path,), ()):
        channel: Any = Told(Action.PRUNE)
        outcome = Trainer(channel, "cpu", 1, tmp_path / "cache", roots).run(start).outcome
        assert bool(channel.found) is bool(roots)
    assert "'model.pt' does not exist under this worker's allowed roots" in (outcome.error or "")
