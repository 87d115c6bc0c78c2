"""What `segtune train` shows: a moving line on a terminal, else a line for each epoch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.spec.messages import Report
from tuner.spec.versions import short
from tuner.wording import quantity

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_NAMES = ("miou", "pixel_accuracy", "train_loss")


@contextmanager
def shown(epochs: int, write: Callable[[str], None]) -> Iterator["Display"]:
    """A display that lasts as long as its `with` block."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        yield Display(epochs, write)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Moving(epochs, progress)


class Display:
    """One line for each thing that happens."""

    def __init__(self, epochs: int, write: Callable[[str], None]) -> None:
        self._epochs = epochs
        self._write = write
        self._known = 0  # epochs that were trained before

    def begun(self, step: int, per_epoch: int, provenance: Mapping[str, Any]) -> None:
        """Training begins, or goes on after epoch `step`, with what its numbers depend on."""
        self._known = step
        self._write(describe_start(provenance))
        if weights := provenance.get("weights"):
            self._write(f"weights: {weights['report']}")
        if step:
            self._write(f"going on after epoch {step} of {self._epochs}")

    def step(self) -> bool:
        """An optimizer step begins; never asks for an end."""
        return False

    def report(self, epoch: Report) -> None:
        """An epoch has ended; those before the interruption were shown then."""
        if epoch.step > self._known:
            self._write(describe(epoch, self._epochs))


class Moving(Display):
    """The same lines, above a bar of optimizer steps."""

    def __init__(self, epochs: int, progress: "Progress") -> None:
        super().__init__(epochs, progress.console.print)
        self._progress = progress
        self._task: TaskID | None = None
        self._per_epoch = 0

    def begun(self, step: int, per_epoch: int, provenance: Mapping[str, Any]) -> None:
        """Show the bar."""
        super().begun(step, per_epoch, provenance)
        self._per_epoch = per_epoch
        total, done = self._epochs * per_epoch, step * per_epoch
        self._task = self._progress.add_task(self._name(step), total=total, completed=done)

    def step(self) -> bool:
        """Move the bar on."""
        if self._task is not None:
            self._progress.advance(self._task)
        return False

    def report(self, epoch: Report) -> None:
        """Name the next epoch; a bar that went on in the middle of one is right again here."""
        super().report(epoch)
        if self._task is not None and epoch.step > self._known:
            done = epoch.step * self._per_epoch
            self._progress.update(self._task, completed=done, description=self._name(epoch.step))

    def _name(self, step: int) -> str:
        return f"epoch {min(step + 1, self._epochs)}/{self._epochs}"


def describe_start(provenance: Mapping[str, Any]) -> str:
    """One line on what is trained where."""
    return (
        f"training {provenance['parameters']:,} parameters on {provenance['device']}, "
        f"{quantity(provenance['threads'], 'CPU thread')}, data {short(provenance['data'])}"
    )


def describe(epoch: Report, epochs: int) -> str:
    """One line on one epoch: `epoch 3/20: miou 0.4121, train_loss 0.8123 (2.1 s)`."""
    names = [name for name in _NAMES if name in epoch.metrics]
    values = ", ".join(f"{name} {epoch.metrics[name]:.4f}" for name in names)
    return f"epoch {epoch.step}/{epochs}: {values} ({epoch.seconds:.1f} s)"


def describe_stop(step: int, epochs: int, folder: Path) -> str:
    """Where a training was interrupted, and how it goes on."""
    return (
        f"stopped in epoch {step + 1} of {epochs}; the same command with --resume goes on from "
        f"{folder / 'checkpoint.pt'} to the same numbers"
    )
