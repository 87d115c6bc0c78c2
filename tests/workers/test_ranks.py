"""Several processes train one trial: they give the numbers of one, and end together."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from tests.training import samples
from tuner.errors import TrainingError
from tuner.spec.messages import Outcome, OutcomeKind, Report, Verdict
from tuner.training.data.load import load
from tuner.training.determinism import DeviceContext
from tuner.training.train import train
from workers.other_ranks import Gone, OtherRanks, RankTask, cause_of
from workers.process import COMMAND, Exited, TrainerEvent, TrainerProcess
from workers.protocol import Finished, Heartbeat, Reply, Reported, SheetDrawn, Start, Yield

pytestmark = pytest.mark.timeout(240)
# Its batch norm sees the whole batch, and steps are small, so that how the batch is divided moves
# last digits only.
CONFIG = samples.config(
    {
        "model.norm": "sync",
        "model.dropout": 0.0,
        "optimizer.lr": 1e-5,
        "training.batch_size": 4,
        "training.epochs": 3,
    }
)


@dataclass
class Trainer:
    """A trainer process, asked as an agent asks it."""

    process: TrainerProcess

    def train(
        self, start: Start, on: Callable[[TrainerEvent], None] = lambda event: None
    ) -> tuple[list[Report], TrainerEvent]:
        """What is reported, and the event at the end."""
        self.process.send(start)
        reports: list[Report] = []
        while (event := self.process.next_event(120)) is not None:
            on(event)
            if isinstance(event, Reported):
                reports.append(event.report)
                self.process.send(Reply(verdict=Verdict()))
            if isinstance(event, Finished | Exited):
                return reports, event
        raise TrainingError(f"it is silent: {self.process.log_tail()}")

    def ranks(self) -> list[psutil.Process]:
        """The processes beside it."""
        beside = psutil.Process(self.process._process.pid).children(recursive=True)
        return [child for child in beside if "workers.rank" in child.cmdline()]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scenes are decoded."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def trainer(tmp_path: Path, cache: Path) -> Iterator[Trainer]:
    """One that trains on the CPU, and is gone in the end with all that it has started."""
    command = [*COMMAND, "--device", "cpu", "--threads", "2", "--cache", str(cache)]
    process = TrainerProcess(tmp_path / "log", command=command, env=os.environ)
    yield Trainer(process)
    process.kill()
    process.close()


def kind(event: TrainerEvent) -> OutcomeKind | None:
    """How a trial ended, by its own word."""
    return event.outcome.kind if isinstance(event, Finished) else None


def test_two_processes_give_the_numbers_of_one(
    trainer: Trainer, cache: Path, tmp_path: Path
) -> None:
    """The batch is divided, not doubled; cut anywhere and resumed, every bit is the same."""
    alone = samples.Reports()
    train(
        CONFIG,
        load(CONFIG.dataset, cache=cache),
        alone,
        folder=tmp_path / "alone",
        context=DeviceContext(threads=1),
    )
    sheets: list[SheetDrawn] = []

    def note(event: TrainerEvent) -> None:
        if isinstance(event, SheetDrawn) and event.step is not None:
            sheets.append(event)

    whole = Start(config=CONFIG, folder=tmp_path / "whole", gpus=2, examples=2)
    reports, end = trainer.train(whole, note)
    assert kind(end) is OutcomeKind.COMPLETED, trainer.process.log_tail()
    for one, other in zip(alone.reports, reports, strict=True):
        assert other.metrics["train_loss"] == pytest.approx(one.metrics["train_loss"], rel=1e-3)
        assert other.metrics["miou"] == pytest.approx(one.metrics["miou"], abs=0.02)
        assert other.metrics["images"] == one.metrics["images"]
    assert [len(sheet.details.images) for sheet in sheets] == [2, 2, 2], (
        "each rank scored one image"
    )

    def cut(event: TrainerEvent) -> None:
        if isinstance(event, Heartbeat) and event.stage == "step":
            trainer.process.send(Yield())

    start = whole.model_copy(update={"folder": tmp_path / "cut"})
    first, end = trainer.train(start, cut)
    assert kind(end) is OutcomeKind.YIELDED
    last = first[-1].step if first else 0
    resume = next((tmp_path / "cut").glob("checkpoint*"))
    rest, end = trainer.train(start.model_copy(update={"resume": resume, "last_step": last}))
    assert kind(end) is OutcomeKind.COMPLETED, trainer.process.log_tail()
    assert samples.timeless([*first, *rest]) == samples.timeless(reports)
    assert trainer.ranks() == []
    assert "Fatal" not in trainer.process.log_tail(), "they end in peace"


def test_a_killed_process_ends_all(trainer: Trainer, tmp_path: Path) -> None:
    """One outcome comes of it, the log says which one it was, and none is left."""
    beside: list[psutil.Process] = []

    def kill(event: TrainerEvent) -> None:
        if isinstance(event, Heartbeat) and event.stage == "step" and not beside:
            beside.extend(trainer.ranks())
            beside[0].kill()

    long = samples.config({"model.norm": "group", "training.batch_size": 3, "training.epochs": 99})
    _, end = trainer.train(Start(config=long, folder=tmp_path, gpus=3), kill)
    assert end == Exited(1)
    assert "rank 1 ended with signal SIGKILL" in trainer.process.log_tail()
    _, alive = psutil.wait_procs(beside, timeout=20)
    assert len(beside) == 2
    assert alive == []


def test_the_reason_of_another_rank_is_the_outcome(tmp_path: Path) -> None:
    """What one of them cannot do, all cannot: its own words are told."""
    config = CONFIG.model_copy(update={"dataset": samples.folder(root=str(tmp_path / "gone"))})
    task = RankTask(
        start=Start(config=config, folder=tmp_path, gpus=2, last_step=4),
        data="0",
        device="cpu",
        threads=1,
        cache=tmp_path,
        roots=(tmp_path,),
        rank=1,
    )
    told: SimpleQueue[Outcome | None] = SimpleQueue()
    others = OtherRanks([task], told.put)
    outcome = told.get(timeout=100)
    others.close()
    assert outcome is not None
    assert (outcome.kind, outcome.step) == (OutcomeKind.YIELDED, 4), "another machine may have it"
    assert "gone" in (outcome.error or "")


def others(code: str, tmp_path: Path, told: "SimpleQueue[Outcome | None]") -> OtherRanks:
    """One rank that runs this code instead of a training."""
    task = RankTask(
        start=Start(config=CONFIG, folder=tmp_path, gpus=2),
        data="0",
        device="cpu",
        threads=1,
        cache=tmp_path,
        roots=(),
        rank=1,
    )
    return OtherRanks([task], told.put, command=(sys.executable, "-c", code))


def nobody_watches() -> None:
    """Wait until no thread looks at ranks any more."""
    for thread in threading.enumerate():
        if thread.name == "ranks":
            thread.join(20)
            assert not thread.is_alive()


def test_a_process_that_is_done_leaves_the_first_to_write(tmp_path: Path) -> None:
    """Model and checkpoint of a large network take longer than the others take to end."""
    told: SimpleQueue[Outcome | None] = SimpleQueue()
    rank = others("", tmp_path, told)
    nobody_watches()
    rank.close()
    assert told.empty()


def test_an_error_of_the_first_is_its_own(tmp_path: Path) -> None:
    """Others that miss it are not the reason: a full disk gives the trial back."""
    told: SimpleQueue[Outcome | None] = SimpleQueue()
    rank = others("import sys; sys.stdin.buffer.read(); sys.exit(1)", tmp_path, told)

    def fail() -> None:
        with rank.heard():
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    nobody_watches()
    assert told.empty()


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ({1: "exception", 2: None}, 2),
        ({1: "exception", 2: "diverged"}, 2),
        ({2: "exception", 1: "exception"}, 2),
    ],
)
def test_the_cause_is_told_from_what_follows_it(outcomes: dict[int, str | None], told: int) -> None:
    """One that was killed, or that names its reason, before those that miss it; or the first."""
    gone = [
        Gone(rank, 1, None if kind is None else Outcome(kind=OutcomeKind.FAILED, error_kind=kind))
        for rank, kind in outcomes.items()
    ]
    assert cause_of(gone).rank == told
