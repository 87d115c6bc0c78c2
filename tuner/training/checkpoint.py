"""Loop state on disk: whole or not there; the one before is kept.

There is a whole checkpoint at its place at every moment after the first, whatever ends the process.
A checkpoint belongs to one config and one version of the data: another one's is refused.
"""

import logging
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from tuner.atomic import discard_drafts, replacing
from tuner.errors import CheckpointMismatch, DataChanged, TrainingError
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Report
from tuner.training import saving

logger = logging.getLogger(__name__)
_FORMAT = 1
NAME = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"


@dataclass
class Progress:
    """Position in a run: `epoch` is the one under way, from 1; `cursor` its finished steps.

    `unreported` are the seconds since the last report. `micro_batch` and CPU `threads` are those
    that its steps were taken with; None where no one wrote them down.
    """

    epoch: int = 1
    cursor: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    unreported: float = 0.0
    micro_batch: int | None = None
    threads: int | None = None
    reports: list[Report] = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last finished epoch."""
        return self.epoch - 1

    @property
    def begun(self) -> int:
        """The last epoch of which a step was taken."""
        return self.epoch if self.cursor else self.epoch - 1

    def spend(self, seconds: float) -> None:
        """Count the time that a part of an epoch took."""
        self.seconds += seconds
        self.unreported += seconds

    def close_epoch(self, seconds: float, report: Report | None) -> Report | None:
        """Go on to the next epoch; gives the report of this one with the time since the last."""
        self.spend(seconds)
        self.epoch, self.cursor, self.loss_sum = self.epoch + 1, 0, 0.0
        if report is None:
            return None
        timed = report.model_copy(update={"seconds": self.unreported})
        self.reports.append(timed)
        self.unreported = 0.0
        return timed


@dataclass(frozen=True, slots=True)
class Owner:
    """The run that writes a checkpoint or takes one up."""

    config: TrialConfig
    fingerprint: str  # of the data

    def digest(self, begun: int) -> str:
        """What it shares with every run that came to the same weights by that epoch.

        Changes of the config that come later do not count: a copy of a trial that goes on with
        other values takes up the checkpoint of the trial that it was copied from.
        """
        # Which images test does not concern training, and earlier releases did not write it down.
        config = self.config.until(begun).model_dump_json(exclude={"dataset": {"test"}})
        text = f"{config}/{self.fingerprint}"
        return sha256(text.encode()).hexdigest()


def save(folder: Path, owner: Owner, progress: Progress, state: dict[str, Any]) -> Path:
    """Write a checkpoint and give its path."""
    path = folder / NAME
    body = {
        "format": _FORMAT,
        "owner": owner.digest(progress.begun),
        "data": owner.fingerprint,
        "epoch": progress.epoch,
        "cursor": progress.cursor,
        "loss_sum": progress.loss_sum,
        "seconds": progress.seconds,
        "untold": progress.unreported,  # the key since format 1
        "micro_batch": progress.micro_batch,
        "threads": progress.threads,
        "reports": [report.model_dump_json() for report in progress.reports],
        "state": state,
    }
    with replacing(path) as draft:
        saving.write(body, draft)
        _keep(path, folder / PREVIOUS)
    logger.info("checkpoint at epoch %d, step %d", progress.epoch, progress.cursor)
    return path


def _keep(path: Path, previous: Path) -> None:
    """Let the file before be found under its second name too, and never under none."""
    if not path.exists():
        return
    with replacing(previous) as second:
        try:
            second.unlink()
            second.hardlink_to(path)
        except OSError:  # a file system without links
            shutil.copyfile(path, second)


class Writer:
    """Writes checkpoints in a thread, one at a time, and calls `saved` once each is on disk.

    At the end of its `with` block all are written and `saved` was called for each.
    """

    def __init__(self, folder: Path, owner: Owner, saved: Callable[[Path, int], None]) -> None:
        for name in (NAME, PREVIOUS):  # of a process that was killed while it wrote
            discard_drafts(folder, name)
        self._folder = folder
        self._owner = owner
        self._saved = saved
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._under_way: tuple[Future[Path], int] | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Wait for the thread; raises what it raised unless another error is on its way."""
        with suppress(OSError) if error is not None else nullcontext():
            self.wait()
        self._pool.shutdown()

    def save(
        self,
        progress: Progress,
        state: dict[str, Any],
        *,
        timed: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Begin to write; `state` must be a copy that training leaves alone.

        `timed` gets the seconds that the writing took, in the thread that wrote.
        """
        self.wait()
        now = replace(progress, reports=list(progress.reports))

        def write() -> Path:
            began = perf_counter()
            path = save(self._folder, self._owner, now, state)
            timed(perf_counter() - began)
            return path

        self._under_way = (self._pool.submit(write), progress.step)

    def poll(self) -> None:
        """Call `saved` for the checkpoint under way if it is written by now."""
        if self._under_way is not None and self._under_way[0].done():
            self.wait()

    def wait(self) -> None:
        """Wait for the checkpoint under way and call `saved`. Raises OSError when it failed."""
        if self._under_way is not None:
            (job, step), self._under_way = self._under_way, None
            self._saved(job.result(), step)


def copied(value: Any) -> Any:
    """A copy of nested state on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: copied(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [copied(entry) for entry in value]
    return value


def load(path: Path, owner: Owner) -> tuple[Progress, dict[str, Any]]:
    """Progress and state; a damaged file is replaced by the one before it, where that is there.

    Raises:
        DataChanged: it belongs to another version of the data.
        CheckpointMismatch: it belongs to another config or format.
        TrainingError: it cannot be read.
    """
    try:
        body = _read(path)
    except TrainingError:
        previous = path.with_name(PREVIOUS)
        if path.name == PREVIOUS or not previous.exists():
            raise
        logger.warning("checkpoint %s is damaged; going back to the one before", path.name)
        body = _read(previous)
    if body.get("format") != _FORMAT:
        raise CheckpointMismatch(
            f"checkpoint {path.name} has format {body.get('format')}; this version reads {_FORMAT}"
        )
    progress = Progress(
        epoch=body["epoch"],
        cursor=body["cursor"],
        loss_sum=body["loss_sum"],
        seconds=body["seconds"],
        unreported=body["untold"],
        micro_batch=body.get("micro_batch"),
        threads=body.get("threads"),
        reports=[Report.model_validate_json(report) for report in body["reports"]],
    )
    if body.get("data", owner.fingerprint) != owner.fingerprint:
        raise DataChanged(
            f"checkpoint {path.name} was trained on other data (fingerprint "
            f"{body['data'][:12]}, now {owner.fingerprint[:12]}); start without it, or bring the "
            "data back"
        )
    if body["owner"] != owner.digest(progress.begun):
        raise CheckpointMismatch(
            f"checkpoint {path.name} belongs to another config or another version of the data; "
            "resume it with the config that wrote it, or start without it"
        )
    return progress, body["state"]


def _read(path: Path) -> dict[str, Any]:
    try:
        body = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    # Whatever bytes stand there: a damaged file raises nearly anything.
    except Exception as error:
        # torch's own words fill a page, and advise to run what code the file may hold.
        why = "" if isinstance(error, pickle.UnpicklingError) else f" ({error})".split("\n")[0]
        raise TrainingError(
            f"checkpoint {path.name} cannot be read: it is damaged, or is not one{why}"
        ) from error
    if not isinstance(body, dict):
        raise TrainingError(f"checkpoint {path.name} is not a checkpoint of segtune")
    return body
