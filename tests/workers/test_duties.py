"""The agent's background duties: heartbeat, delivery and uploads."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.workers.conftest import BRIEF
from tests.workers.fake_server import FakeServer, assignment, order
from tuner.errors import LeaseLost, SegtuneError, ServerError, ServerUnreachable
from tuner.spec.messages import Action, LeaseStatus, Outcome, OutcomeKind, Report, Verdict
from workers.client import ServerClient
from workers.delivery import BATCH, Delivery
from workers.heartbeat import lease_heartbeat
from workers.limits import Backoff
from workers.outbox import Outbox, OutcomeEntry, ReportEntry, create
from workers.protocol import Saved
from workers.uploads import Uploads


def report(step: int) -> Report:
    """A report of a step."""
    return Report(step=step, metrics={"miou": 0.5})


class Beats:
    """A server's answers to heartbeats, in order, and waiting that ends after them."""

    def __init__(self, *answers: Verdict | Exception) -> None:
        self.answers = list(answers)
        self.intervals: list[float] = []
        self.verdicts: list[Verdict] = []
        self.refusals: list[SegtuneError] = []
        self.ended = threading.Event()

    def renew(self) -> LeaseStatus:
        """Give the next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return LeaseStatus(verdict=answer, expires_at=assignment().expires_at)

    def wait(self, seconds: float) -> bool:
        """Return at once, and end after the last answer."""
        self.intervals.append(seconds)
        if not self.answers:
            self.ended.set()
        return not self.answers

    def refuse(self, error: SegtuneError) -> None:
        """Note a refusal, which ends the heartbeat."""
        self.refusals.append(error)
        self.ended.set()

    def run(self) -> None:
        """Beat through all answers."""
        beating = lease_heartbeat(
            self.renew,
            interval=20,
            on_verdict=self.verdicts.append,
            on_refusal=self.refuse,
            wait=self.wait,
        )
        with beating:
            assert self.ended.wait(10)


def test_a_heartbeat_hands_on_verdicts() -> None:
    """Every answer's verdict is told, at the interval given."""
    beats = Beats(Verdict(), order("yield"))
    beats.run()
    assert [verdict.action for verdict in beats.verdicts] == [Action.CONTINUE, Action.YIELD]
    assert beats.intervals == [20, 20, 20]


def test_a_heartbeat_outlives_an_absent_server() -> None:
    """No answer is no reason to stop asking."""
    beats = Beats(ServerUnreachable("gone"), ServerUnreachable("gone"), order("stop"))
    beats.run()
    assert [verdict.action for verdict in beats.verdicts] == [Action.STOP]


def test_a_heartbeat_ends_with_its_lease() -> None:
    """A lost lease is told once, and not renewed again."""
    beats = Beats(LeaseLost("yours no more"), Verdict())
    beats.run()
    assert [type(error) for error in beats.refusals] == [LeaseLost]
    assert len(beats.answers) == 1


@pytest.fixture
def client(server: FakeServer) -> Iterator[ServerClient]:
    """A client of the scripted server."""
    connection = ServerClient(server.address, backoff=BRIEF)
    yield connection
    connection.close()


@pytest.fixture
def box(server: FakeServer, tmp_path: Path) -> Iterator[Outbox]:
    """An empty outbox."""
    outbox = create(tmp_path, assignment(), server=server.address, host="here")
    yield outbox
    outbox.remove()


def delivery(
    box: Outbox, client: ServerClient, late: "SimpleQueue[object]"
) -> AbstractContextManager[Delivery]:
    """A delivery whose late verdicts and refusals come into a queue."""
    put = late.put
    return Delivery(box, client, on_verdict=put, on_refusal=put, backoff=BRIEF).running()


def uploading(
    slow: "Uploading", refused: Callable[[SegtuneError], None] = lambda _: None
) -> AbstractContextManager[Uploads]:
    """Uploads through a slow sender, as often as they come."""
    return Uploads(slow.send, every=0, on_refusal=refused, backoff=BRIEF).running()


def test_a_report_gets_its_verdict(server: FakeServer, client: ServerClient, box: Outbox) -> None:
    """The server's answer is the answer of `report`, and comes by no other way."""
    server.verdicts[3] = order("prune")
    late: SimpleQueue[object] = SimpleQueue()
    with delivery(box, client, late) as deliver:
        assert deliver.report(report(2)).action is Action.CONTINUE
        assert deliver.report(report(3)).action is Action.PRUNE
    assert late.empty()


def test_without_a_server_training_goes_on_at_once(
    server: FakeServer, client: ServerClient, box: Outbox
) -> None:
    """Far before `patience` is over, and what waited arrives later with its verdict."""
    server.away = True
    server.verdicts[2] = order("stop")
    late: SimpleQueue[object] = SimpleQueue()
    with delivery(box, client, late) as deliver:
        assert deliver.report(report(1), patience=60) == Verdict()
        assert deliver.report(report(2), patience=60) == Verdict()
        server.set(away=False)
        assert late.get(timeout=10) == order("stop")
    assert server.steps == [1, 2]


def test_a_backlog_goes_in_batches(server: FakeServer, client: ServerClient, box: Outbox) -> None:
    """A long absence ends in few requests, each small enough, and in order."""
    for step in range(1, 2 * BATCH + 2):
        box.append(ReportEntry(report=report(step)))
    box.append(OutcomeEntry(outcome=Outcome(kind=OutcomeKind.COMPLETED)))
    with delivery(box, client, SimpleQueue()) as deliver:
        assert deliver.wait(10)
    assert server.steps == list(range(1, 2 * BATCH + 2))
    assert server.requests.count("POST leases/lease-1/reports") == 3
    assert server.requests[-1] == "POST leases/lease-1/finish"


def test_a_stale_lease_ends_the_delivery(
    server: FakeServer, client: ServerClient, box: Outbox
) -> None:
    """The refusal is told, and whoever waits for a verdict gets `stop`."""
    server.stale = {"lease-1"}
    late: SimpleQueue[object] = SimpleQueue()
    with delivery(box, client, late) as deliver:
        assert deliver.report(report(1)).action is Action.STOP
        assert deliver.wait(10)
        assert isinstance(deliver.refusal, LeaseLost)
    assert isinstance(late.get(timeout=10), LeaseLost)


class Uploading:
    """A slow sender of checkpoints: each upload starts and ends when told."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[int] = SimpleQueue()
        self.go_on: SimpleQueue[Exception | None] = SimpleQueue()

    def send(self, saved: Saved) -> None:
        """Say that an upload began, and wait for how it ends."""
        self.begun.put(saved.step)
        if error := self.go_on.get(timeout=10):
            raise error


def saved(step: int) -> Saved:
    """A checkpoint of a step."""
    return Saved(path=Path("checkpoint.pt"), step=step)


def test_overtaken_checkpoints_are_skipped() -> None:
    """While one is under way, only the newest of those that come waits."""
    slow = Uploading()
    with uploading(slow) as uploads:
        uploads.offer(saved(1))
        assert slow.begun.get(timeout=10) == 1
        uploads.offer(saved(2))
        uploads.offer(saved(3))
        slow.go_on.put(None)
        assert slow.begun.get(timeout=10) == 3
        slow.go_on.put(None)
        assert uploads.close() is None


def test_what_has_not_arrived_is_reported_at_the_end() -> None:
    """The newest checkpoint is still to be sent when the one under way is older."""
    slow = Uploading()
    with uploading(slow) as uploads:
        uploads.offer(saved(1))
        assert slow.begun.get(timeout=10) == 1
        uploads.offer(saved(2))
        slow.go_on.put(None)
        # Whether the second upload begins before the end is open; it does not arrive either way.
        slow.go_on.put(ServerUnreachable("gone"))
        assert uploads.close() == saved(2)


def test_an_upload_is_tried_again() -> None:
    """An absent server delays a checkpoint."""
    slow = Uploading()
    with uploading(slow) as uploads:
        uploads.offer(saved(1))
        slow.go_on.put(ServerUnreachable("gone"))
        slow.go_on.put(None)
        assert [slow.begun.get(timeout=10), slow.begun.get(timeout=10)] == [1, 1]
        assert uploads.close() is None


@pytest.mark.parametrize("error", [ServerError("too large"), FileNotFoundError("gone")])
def test_a_checkpoint_that_cannot_be_stored_is_given_up(error: Exception) -> None:
    """A refusal is not repeated, and the next checkpoint is tried."""
    slow = Uploading()
    with uploading(slow) as uploads:
        uploads.offer(saved(1))
        assert slow.begun.get(timeout=10) == 1
        slow.go_on.put(error)
        uploads.offer(saved(2))
        slow.go_on.put(None)
        assert slow.begun.get(timeout=10) == 2


def test_a_lost_lease_ends_uploads() -> None:
    """The loss is told to the agent."""
    slow, refused = Uploading(), SimpleQueue[SegtuneError]()
    with uploading(slow, refused.put) as uploads:
        uploads.offer(saved(1))
        slow.go_on.put(LeaseLost("yours no more"))
        assert isinstance(refused.get(timeout=10), LeaseLost)


def test_waiting_grows_and_is_spread() -> None:
    """Delays double up to the limit, and lie in the upper half of their span."""
    low, high = Backoff(draw=lambda: 0.0).delays(), Backoff(draw=lambda: 1.0).delays()
    assert [next(low) for _ in range(8)] == [0.25, 0.5, 1, 2, 4, 8, 15, 15]
    assert [next(high) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
