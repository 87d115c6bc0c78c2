"""The trainer's side of the pipes, in this process; the real training is tested elsewhere."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import pytest

from tests.workers.fake_server import CONFIG, order
from tuner import logs
from tuner.spec.config import Section
from tuner.spec.messages import Action, Outcome, OutcomeKind, Report
from workers import trainer
from workers.channel import AgentChannel
from workers.process import COMMAND, TrainerProcess
from workers.protocol import (
    MESSAGES,
    Finished,
    Heartbeat,
    Message,
    Ready,
    Reply,
    Reported,
    Saved,
    Start,
    Yield,
    line,
)

START = Start(config=CONFIG, folder=Path("files"))
NO_DATA: Any = None
DONE = Finished(outcome=Outcome(kind=OutcomeKind.COMPLETED), digest="0")


@dataclass
class Line:
    """A wire and the agent's ends of its pipes."""

    channel: AgentChannel
    commands: BinaryIO
    messages: BinaryIO
    codes: "SimpleQueue[int]"

    def send(self, command: Section) -> None:
        """Say something as the agent."""
        self.commands.write(line(command))
        self.commands.flush()

    def heard(self) -> Message:
        """What the agent hears next."""
        return MESSAGES.validate_json(self.messages.readline())


@pytest.fixture
def link() -> Iterator[Line]:
    """A wire whose process is not left when the agent goes."""
    read, commands = os.pipe()
    messages, write = os.pipe()
    codes: SimpleQueue[int] = SimpleQueue()
    channel = AgentChannel(read, write, leave=codes.put)
    link = Line(channel, os.fdopen(commands, "wb"), os.fdopen(messages, "rb"), codes)
    yield link
    link.commands.close()
    with link.messages:
        link.messages.read()  # to the end, which comes when the wire has closed its own pipes


def test_a_report_waits_for_its_verdict(link: Line) -> None:
    """The verdict of the reply is what the training loop gets."""
    link.send(Reply(verdict=order("prune")))
    assert link.channel.report(Report(step=3, metrics={"miou": 0.5})).action is Action.PRUNE
    message = link.heard()
    assert isinstance(message, Reported)
    assert message.report.step == 3


def test_trials_come_in_order(link: Line) -> None:
    """Each `Start` is one trial."""
    second = START.model_copy(update={"last_step": 4})
    link.send(START)
    link.send(second)
    starts = link.channel.starts()
    assert [next(starts), next(starts)] == [START, second]


def test_an_order_to_yield_is_for_one_trial(link: Line) -> None:
    """What the last trial was told does not end the next one."""
    link.send(START)
    link.send(Yield())
    link.send(Reply(verdict=order("stop")))
    starts = link.channel.starts()
    next(starts)
    link.channel.report(Report(step=1, metrics={}))
    assert link.channel.should_yield()
    link.send(START)
    next(starts)
    assert not link.channel.should_yield()


def test_heartbeats_are_reported_once_a_second(link: Line) -> None:
    """A thousand quick steps are one line."""
    for _ in range(1000):
        link.channel.heartbeat()
    link.channel.checkpoint_saved(Path("checkpoint.pt"), 2)
    heard = [link.heard(), link.heard()]
    assert heard == [Heartbeat(stage="step"), Saved(path=Path("checkpoint.pt"), step=2)]


def test_loading_beats_while_it_works(link: Line) -> None:
    """Decoding a large data set is progress, without a step."""
    heard = threading.Event()

    def listen() -> None:
        assert link.heard() == Heartbeat(stage="load")
        heard.set()

    listener = threading.Thread(target=listen)
    listener.start()
    with link.channel.loading():
        while not heard.is_set():
            sum(range(1000))
    listener.join()
    assert heard.is_set()


def test_work_without_an_end_is_not_taken_for_progress(
    link: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its time is over no heartbeat is sent, so that the agent ends what hangs."""
    beats: list[Any] = []
    monkeypatch.setattr(link.channel, "send", beats.append)
    monkeypatch.setattr("workers.channel._HEARTBEAT_SECONDS", 0.001)
    before = {thread.ident for thread in threading.enumerate()}
    with link.channel.loading(seconds=0.0):
        while any(
            each.name == "loading" for each in threading.enumerate() if each.ident not in before
        ):
            sum(range(1000))
    assert beats == []


@pytest.mark.parametrize(("is_busy", "code"), [(True, 1), (False, 0)])
def test_the_process_leaves_with_its_agent(link: Line, is_busy: bool, code: int) -> None:
    """The end of the agent's pipe frees the device at once, whatever is under way."""
    link.send(START)
    next(link.channel.starts())
    if not is_busy:
        link.channel.finish(DONE)
    link.commands.close()
    assert link.codes.get(timeout=10) == code


def test_a_new_trial_is_drawn_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The preview is there when the trial is; one that goes on has its preview already."""
    drawn: list[int] = []
    monkeypatch.setattr(trainer, "draw", lambda start, data: drawn.append(start.last_step))
    for step in (0, 3):
        with trainer.drawing(START.model_copy(update={"last_step": step}), data=NO_DATA):
            pass
    assert drawn == [0]


def test_a_picture_that_fails_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A trial whose samples cannot be drawn trains all the same."""
    pytest.importorskip("torch")
    with trainer.drawing(START, data=NO_DATA):
        pass
    assert "no preview was drawn" in caplog.text


def test_a_trainer_says_where_it_is(tmp_path: Path) -> None:
    """The real process answers the agent with its stack, and lives on."""
    command = [*COMMAND, "--device", "cpu", "--cache", str(tmp_path)]
    process = TrainerProcess(tmp_path / "log", command=command, env=os.environ)
    try:
        assert process.next_event(60) == Ready()
        stack = process.stack()
        assert "workers/channel.py" in stack, "where it waits for the next trial"
        assert "in main" in stack, "how it came there"
        assert process.is_alive
    finally:
        process.close()


def test_what_a_trial_logs_says_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of libraries too; and the next trial's say the next."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(trainer.Trainer, "_train", lambda *_: said.append(logs.current()))
    process = trainer.Trainer(NO_DATA, "cpu", None, Path(), ())
    for number in (1, 2):
        start = START.model_copy(update={"about": {"study": "s", "trial": number}})
        with suppress(AttributeError):  # there is no outcome
            process.run(start)
    assert said == [{"study": "s", "trial": 1}, {"study": "s", "trial": 2}]
    assert logs.current() == {}
