"""The training loop, from top to bottom: epochs of optimizer steps, a score after each.

It knows nothing of HTTP or databases. It reports one step per epoch, obeys the verdict, and can be
cut off between any two optimizer steps and taken up again to the same numbers.
"""

import logging
import platform
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import timm
import torch

import tuner
from tuner.errors import Diverged
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Action, Outcome, OutcomeKind, Report, Verdict
from tuner.spec.metrics import derive
from tuner.training import checkpoint, determinism, evaluate
from tuner.training.batches import Batches
from tuner.training.checkpoint import Progress
from tuner.training.data import Data
from tuner.training.determinism import Machine
from tuner.training.learner import Learner
from tuner.training.model import parameter_count

_logger = logging.getLogger(__name__)
MODEL = "model.pt"
# On CUDA each look at the loss waits for the device.
_CUDA_CHECK = 50
_ENDINGS = {
    Action.PRUNE: OutcomeKind.PRUNED,
    Action.PAUSE: OutcomeKind.PAUSED,
    Action.STOP: OutcomeKind.STOPPED,
    Action.YIELD: OutcomeKind.YIELDED,
}


def _never() -> bool:
    return False


def _nothing(*_: object) -> None:
    return None


def train(  # noqa: PLR0913  # the seams of a worker, all optional
    config: TrialConfig,
    data: Data,
    report: Callable[[Report], Verdict],
    *,
    folder: Path,
    resume: Path | None = None,
    last_step: int = 0,
    machine: Machine = Machine(),  # noqa: B008  # frozen
    should_yield: Callable[[], bool] = _never,
    beat: Callable[[], None] = _nothing,
    saved: Callable[[Path, int], None] = _nothing,
) -> Outcome:
    """Train one trial, from its start or from the checkpoint `resume`, and say how it ended.

    `report` gets every epoch after `last_step`, and its verdict is obeyed, except after the last
    epoch, when the trial is complete anyway. `saved` gets each checkpoint before its report.
    `should_yield` is asked before every optimizer step, `beat` is called after each.

    Raises:
        Diverged: the loss or the model's output is no longer finite.
        DataError: the batch is larger than the training split, or a weights file is missing.
        CheckpointMismatch: `resume` belongs to another config, data version or format.
        TrainingError: weights or checkpoint cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with determinism.applied(config.training.determinism, machine):
        run = _Run(config, data, machine, folder=folder, saved=saved)
        if resume is not None:
            run.take_up(resume)
        for earlier in [past for past in run.progress.reports if past.step > last_step]:
            verdict = report(earlier)
            if verdict.action in _ENDINGS and run.has_work:
                run.save()
                return run.outcome(_ENDINGS[verdict.action])
        while run.has_work:
            if not run.epoch(should_yield, beat):
                run.save()
                return run.outcome(OutcomeKind.YIELDED)
            run.score(beat)
            run.save()
            verdict = report(run.progress.reports[-1])
            if verdict.action in _ENDINGS and run.has_work:
                return run.outcome(_ENDINGS[verdict.action])
        run.hand_over()
        return run.outcome(OutcomeKind.COMPLETED)


class _Run:
    """One attempt at a trial: its learner, its batches and its position."""

    def __init__(
        self,
        config: TrialConfig,
        data: Data,
        machine: Machine,
        *,
        folder: Path,
        saved: Callable[[Path, int], None],
    ) -> None:
        self.config = config
        self.data = data
        self.machine = machine
        self.folder = folder
        self.saved = saved
        self.batches = Batches(data.train, config, machine.device)
        self.learner = Learner(
            config, data, machine, config.training.epochs * self.batches.per_epoch
        )
        self.progress = Progress()
        self.owner = checkpoint.digest(config, data.fingerprint)
        # Summed in float64, where the device has it, so that a cut in the epoch changes no bit.
        place = machine.device if machine.is_cuda else "cpu"
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=place)
        self._pace: dict[str, float] = {}
        self._started = perf_counter()

    @property
    def has_work(self) -> bool:
        """Whether epochs are left."""
        return self.progress.epoch <= self.config.training.epochs

    def take_up(self, path: Path) -> None:
        """Go on where a checkpoint left off."""
        self.progress, state = checkpoint.load(path, self.owner)
        self.learner.restore(state)
        self._loss_sum.fill_(self.progress.loss_sum)
        _logger.info("resuming at epoch %d, step %d", self.progress.epoch, self.progress.cursor)

    def epoch(self, should_yield: Callable[[], bool], beat: Callable[[], None]) -> bool:
        """Train to the end of the epoch under way; False if asked to yield before that."""
        progress, first = self.progress, self.progress.cursor
        self._started, waited = perf_counter(), 0.0
        while progress.cursor < self.batches.per_epoch:
            if should_yield():
                progress.seconds += perf_counter() - self._started
                return False
            asked = perf_counter()
            images, labels = self.batches.batch(progress.epoch, progress.cursor)
            waited += perf_counter() - asked
            step = progress.step * self.batches.per_epoch + progress.cursor
            self._loss_sum += self.learner.step(images, labels, step).to(self._loss_sum.device)
            progress.cursor += 1
            self._check(step)
            beat()
        seconds = max(perf_counter() - self._started, 1e-9)
        images_seen = (progress.cursor - first) * self.batches.size
        self._pace = {"images_per_second": images_seen / seconds, "data_wait": waited / seconds}
        return True

    def score(self, beat: Callable[[], None]) -> None:
        """Evaluate, and close the epoch with its report."""
        classes = self.config.dataset.classes
        counts = evaluate.confusion(
            self.learner.scored,
            self.data.val,
            machine=self.machine,
            tier=self.config.training.determinism,
            batch_size=self.batches.size,
            beat=beat,
        )
        last = self.progress.epoch * self.batches.per_epoch - 1
        metrics = {
            **derive(counts, classes),
            "train_loss": self._mean_loss(last),
            "lr": self.learner.rate(last),
            **self._pace,
            **self._memory(),
        }
        seconds = perf_counter() - self._started
        done = Report(step=self.progress.epoch, metrics=metrics, confusion=counts, seconds=seconds)
        self.progress = Progress(
            epoch=self.progress.epoch + 1,
            seconds=self.progress.seconds + seconds,
            reports=[*self.progress.reports, done],
        )
        self._loss_sum.zero_()
        _logger.info("epoch %d: miou %.4f", done.step, metrics["miou"])

    def save(self) -> None:
        """Write a checkpoint and tell of it."""
        self.progress.loss_sum = float(self._loss_sum)
        path = checkpoint.save(self.folder, self.owner, self.progress, self.learner.state())
        self.saved(path, self.progress.step)

    def hand_over(self) -> None:
        """Write the final weights with their config."""
        part = self.folder / f"{MODEL}.part"
        weights = self.learner.scored.state_dict()
        torch.save({"config": self.config.model_dump_json(), "model": weights}, part)
        part.replace(self.folder / MODEL)

    def outcome(self, kind: OutcomeKind) -> Outcome:
        """How the attempt ended, with everything that its numbers depend on."""
        return Outcome(kind=kind, step=self.progress.step, provenance=self._provenance())

    def _check(self, step: int) -> None:
        if not self.machine.is_cuda or step % _CUDA_CHECK == 0:
            self._mean_loss(step)

    def _mean_loss(self, step: int) -> float:
        total = float(self._loss_sum)
        if not isfinite(total):
            raise Diverged(
                f"the training loss is {total} at optimizer step {step} (epoch "
                f"{self.progress.epoch}) with learning rate {self.learner.rate(step):.3g}; "
                "a smaller optimizer.lr or a longer schedule.warmup may help"
            )
        return total / self.progress.cursor

    def _memory(self) -> dict[str, float]:
        if not self.machine.is_cuda:
            return {}
        peak = torch.cuda.max_memory_allocated(self.machine.device)
        torch.cuda.reset_peak_memory_stats(self.machine.device)
        return {"peak_memory_mb": peak / 2**20}

    def _provenance(self) -> dict[str, Any]:
        name = platform.processor() or platform.machine()
        if self.machine.is_cuda:
            name = torch.cuda.get_device_name(self.machine.device)
        return {
            "data": self.data.fingerprint,
            "versions": {
                "segtune": tuner.__version__,
                "torch": torch.__version__,
                "timm": timm.__version__,
                "python": platform.python_version(),
            },
            "device": self.machine.device,
            "device_name": name,
            "threads": torch.get_num_threads(),
            "determinism": self.config.training.determinism,
            "micro_batch": self.batches.size,
            "parameters": parameter_count(self.learner.model),
            "seconds": self.progress.seconds,
        }
