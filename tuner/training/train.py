"""The training loop, from top to bottom: epochs of optimizer steps, a score after each.

It knows nothing of HTTP or databases. It reports one step per epoch, obeys the verdict, and can be
cut off between any two optimizer steps and taken up again to the same numbers.
"""

import logging
import platform
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import timm
import torch

import tuner
from tuner.errors import Diverged
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Outcome, OutcomeKind, Report, Verdict
from tuner.spec.metrics import derive
from tuner.training import checkpoint, determinism, evaluate, memory, saving
from tuner.training.batches.batches import Batches
from tuner.training.cadence import Cadence
from tuner.training.checkpoint import Progress
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.gauges import Gauges
from tuner.training.network import model
from tuner.training.network.weights import norm_eps
from tuner.training.steps import Pace
from tuner.training.train_state import TrainState

logger = logging.getLogger(__name__)
MODEL = "model.pt"
# On CUDA each look at the loss waits for the device.
_CUDA_CHECK = 50
# Scoring keeps nothing for a backward pass, so that more images fit.
_SCORED_AT_ONCE = 4
# A checkpoint holds the weights and, for most optimizers, one or two numbers beside each.
_COPIES = 3


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
    steps: int | None = None,
    context: DeviceContext = DeviceContext(),  # noqa: B008  # frozen
    begun: Callable[[int, int, Mapping[str, Any]], None] = _nothing,
    should_yield: Callable[[], bool] = _never,
    heartbeat: Callable[[], None] = _nothing,
    saved: Callable[[Path, int], None] = _nothing,
) -> Outcome:
    """Train one trial, from its start or from the checkpoint `resume`, and say how it ended.

    `report` gets every epoch after `last_step`. Its verdict is obeyed, except after the last epoch,
    when the trial is complete anyway. A training that stands for less than a whole one counts as
    fewer `steps` than it has epochs: the epochs at which the next one is full are scored and
    reported, and after the last the trial is paused. `begun` gets the last finished epoch, the
    steps of one, and the provenance. `saved` gets each checkpoint once it lies on disk: as seldom
    as `context` allows, and always when a run ends before its trial does. `should_yield` is asked
    before every optimizer step, `heartbeat` called after each.

    Raises:
        Diverged, OutOfMemory: loss or output is not finite; the micro-batch cannot shrink further.
        DataError: the batch is larger than the training split.
        DataChanged, CheckpointMismatch: `resume` belongs to other data, another config or format.
        TrainingError: weights or checkpoint cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pace = Pace(config.training.epochs, steps or config.training.epochs, last_step)
    with ExitStack() as stack:
        stack.enter_context(determinism.applied(config.training.determinism, context))
        run = _Run(config, data, context, pace, folder=folder, saved=saved)
        stack.callback(run.batches.close)
        stack.enter_context(run.writer)
        run.begin(resume)
        begun(run.progress.step, run.batches.per_epoch, run.provenance())
        if (ending := _told_again(run, report, last_step)) is not None:
            run.save()
            return run.outcome(ending)
        while run.has_work:
            if not run.epoch(should_yield, heartbeat):
                run.save()
                return run.outcome(OutcomeKind.YIELDED)
            is_told = run.close(heartbeat)
            run.save_if_due()
            if not is_told:
                continue
            verdict = report(run.progress.reports[-1])
            if (asked := verdict.action.outcome) and not run.is_complete:
                run.save()
                return run.outcome(asked)
        if pace.is_part:
            run.save()
            return run.outcome(OutcomeKind.PAUSED)
        run.hand_over()
        return run.outcome(OutcomeKind.COMPLETED)


def _told_again(
    run: "_Run", report: Callable[[Report], Verdict], last_step: int
) -> OutcomeKind | None:
    """Report what a checkpoint knows and the store does not; gives the ending asked for."""
    for earlier in [past for past in run.progress.reports if past.step > last_step]:
        asked = report(earlier).action.outcome
        if asked is not None and run.has_work:
            return asked
    return None


class _Run:
    """One attempt at a trial: its learner, its batches and its position."""

    def __init__(
        self,
        config: TrialConfig,
        data: Data,
        context: DeviceContext,
        pace: Pace,
        *,
        folder: Path,
        saved: Callable[[Path, int], None],
    ) -> None:
        self.config = config
        self.pace = pace
        self.data = data
        self.context = context
        self.folder = folder
        self.batches = Batches(data.train, config, context.device)
        self.state = TrainState(
            config, data, context, config.training.epochs * self.batches.per_epoch
        )
        self.progress = Progress()
        self._owner = checkpoint.Owner(config, data.fingerprint)
        self.writer = checkpoint.Writer(
            folder, self._owner, lambda path, epoch: saved(path, pace.step(epoch))
        )
        # Summed in float64, where the device has it, so that a cut in the epoch changes no bit.
        place = context.device if context.is_cuda else "cpu"
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=place)
        self._scored_at_once = 0
        size = memory.footprint(self.state.model, copies=_COPIES)
        self._cadence = Cadence(size, most=context.checkpoint_seconds)
        self._saved_at: tuple[int, int] | None = None
        self._gauges = Gauges(context)
        self._pace: dict[str, float] = {}
        self._started = perf_counter()

    @property
    def has_work(self) -> bool:
        """Whether epochs are left."""
        return self.progress.epoch <= self.config.training.epochs

    @property
    def is_complete(self) -> bool:
        """Whether the trial has been trained to its end."""
        return not (self.has_work or self.pace.is_part)

    def begin(self, resume: Path | None) -> None:
        """Find a micro-batch that fits, or go on where a checkpoint left off with its own.

        The exact mode keeps the micro-batch of the first step to the end, on any machine: with
        another one the same config would give another number.
        """
        state, fixed = self.state, self.config.training.micro_batch is not None
        exact = self.config.training.determinism == "exact"
        if resume is not None:
            self._take_up(resume)
        elif not fixed and self.context.may_run_out:
            self._probe()
        state.may_shrink = not fixed and not exact
        self.progress.micro_batch = state.micro_batch
        self.progress.threads = torch.get_num_threads()
        factor = _SCORED_AT_ONCE if self.context.is_cuda else 1
        self._scored_at_once = min(factor * state.micro_batch, len(self.data.val))

    def epoch(self, should_yield: Callable[[], bool], heartbeat: Callable[[], None]) -> bool:
        """Train to the end of the epoch under way; False if asked to yield before that."""
        progress = self.progress
        self._started, self._gauges = perf_counter(), Gauges(self.context)
        if self.config.changes:
            now = self.config.at(progress.epoch)
            self.state.follow(now)
            self.batches.follow(now)
        if self.config.model.freeze_epochs:
            model.freeze(self.state.model, progress.epoch <= self.config.model.freeze_epochs)
        while progress.cursor < self.batches.per_epoch:
            if should_yield():
                spent = perf_counter() - self._started
                progress.seconds += spent
                progress.unreported += spent
                return False
            self._step(progress.step * self.batches.per_epoch + progress.cursor)
            self.writer.tell()
            heartbeat()
        self._pace = self._gauges.pace()
        return True

    def close(self, heartbeat: Callable[[], None]) -> bool:
        """Close the epoch; True if it ends with a score and a report."""
        before = self.progress
        last = before.epoch * self.batches.per_epoch - 1
        loss, is_told = self._mean_loss(last), self.pace.tells(before.epoch)
        scored = self._score(loss, last, heartbeat) if is_told else None
        seconds = perf_counter() - self._started
        now = Progress(
            epoch=before.epoch + 1,
            seconds=before.seconds + seconds,
            unreported=before.unreported + seconds,
            micro_batch=before.micro_batch,
            threads=before.threads,
            reports=before.reports,
        )
        if scored is not None:
            step = self.pace.step(before.epoch)
            report = scored.model_copy(update={"step": step, "seconds": now.unreported})
            now.reports, now.unreported = [*before.reports, report], 0.0
        self.progress = now
        self._loss_sum.zero_()
        return is_told

    def _score(self, loss: float, last: int, heartbeat: Callable[[], None]) -> Report:
        """Evaluate after the epoch whose last optimizer step this was."""
        counts = self._confusion(heartbeat)
        metrics = {
            **derive(counts, self.config.dataset.classes),
            "train_loss": loss,
            "lr": self.state.rate(last),
            **self._pace,
            **self._gauges.device(),
        }
        shown = ("miou", "images_per_second", "data_wait", "peak_memory_mb", "gpu_utilisation")
        words = " ".join(f"{name} {metrics[name]:.4g}" for name in shown if name in metrics)
        logger.info("epoch %d: %s", self.progress.epoch, words)
        return Report(
            step=self.progress.epoch,
            metrics=metrics,
            confusion=counts,
            data=self.data.fingerprint,
        )

    def save_if_due(self) -> None:
        """Begin to write a checkpoint of this moment if it is worth its time."""
        if self._cadence.is_due:
            self.save()

    def save(self) -> None:
        """Begin to write a checkpoint of this moment, unless that was done before."""
        moment = (self.progress.epoch, self.progress.cursor)
        if moment == self._saved_at:
            return
        self._saved_at = moment
        began = perf_counter()
        self.progress.loss_sum = float(self._loss_sum)
        state = self.state.state_dict()
        copying = perf_counter() - began
        self.writer.save(
            self.progress, state, timed=lambda seconds: self._cadence.saved(copying + seconds)
        )

    def hand_over(self) -> None:
        """Write the final weights with their config."""
        part = self.folder / f"{MODEL}.part"
        weights = self.state.scored.state_dict()
        body = {
            "config": self.config.model_dump_json(),
            "model": weights,
            "norm_eps": norm_eps(self.state.model),
        }
        saving.write(body, part)
        part.replace(self.folder / MODEL)

    def outcome(self, kind: OutcomeKind) -> Outcome:
        """How the attempt ended, with everything that its numbers depend on."""
        step = self.pace.step(self.progress.step)
        return Outcome(kind=kind, step=step, provenance=self.provenance())

    def _take_up(self, path: Path) -> None:
        self.progress, state = checkpoint.load(path, self._owner)
        self.state.load_state_dict(state)
        self.state.micro_batch = self.progress.micro_batch or self.batches.size
        self._loss_sum.fill_(self.progress.loss_sum)
        self._keep_threads(self.progress.threads)
        logger.info("resuming at epoch %d, step %d", self.progress.epoch, self.progress.cursor)

    def _keep_threads(self, threads: int | None) -> None:
        """Go on with the threads of the first steps, where the numbers depend on them."""
        exact = self.config.training.determinism == "exact"
        if threads is None or self.context.is_cuda or not exact:
            return
        if threads != torch.get_num_threads():
            logger.info("going on with %d CPU threads, as the trial began", threads)
            torch.set_num_threads(threads)

    def _probe(self) -> None:
        start = min(
            memory.recall(self.config, self.context) or self.batches.size, self.batches.size
        )
        self.state.micro_batch, self.state.may_shrink = start, True
        self.state.probe(*self.batches.batch(1, 0))
        if self.state.micro_batch < start:
            memory.remember(self.config, self.context, self.state.micro_batch)

    def _step(self, step: int) -> None:
        self._gauges.ask()
        images, labels = self.batches.batch(self.progress.epoch, self.progress.cursor)
        self._gauges.got(len(images))
        self._loss_sum += self.state.step(images, labels, step).to(self._loss_sum.device)
        self.progress.cursor += 1
        self.progress.micro_batch = self.state.micro_batch
        if not self.context.is_cuda or step % _CUDA_CHECK == 0:
            self._mean_loss(step)
            self._gauges.look()

    def _confusion(self, heartbeat: Callable[[], None]) -> tuple[tuple[int, ...], ...]:
        def score(size: int) -> tuple[tuple[int, ...], ...]:
            return evaluate.confusion(
                self.state.scored,
                self.data.val,
                context=self.context,
                determinism=self.config.training.determinism,
                batch_size=size,
                heartbeat=heartbeat,
            )

        counts, self._scored_at_once = memory.halving(
            score,
            self._scored_at_once,
            least=1,
            context=self.context,
            advice="use a smaller model or dataset.size",
        )
        return counts

    def _mean_loss(self, step: int) -> float:
        total = float(self._loss_sum)
        if not isfinite(total):
            raise Diverged(
                f"the training loss is {total} at optimizer step {step} (epoch "
                f"{self.progress.epoch}) with learning rate {self.state.rate(step):.3g}; "
                "a smaller optimizer.lr or a longer schedule.warmup may help"
            )
        return total / self.progress.cursor

    def provenance(self) -> dict[str, Any]:
        """What the numbers depend on beside the config."""
        weights = dict(self.state.model.initial_weights)
        return {
            "data": self.data.fingerprint,
            "versions": {
                "segtune": tuner.__version__,
                "torch": torch.__version__,
                "timm": timm.__version__,
                "python": platform.python_version(),
            },
            "device": self.context.device,
            "device_name": self.context.name,
            "threads": torch.get_num_threads(),
            "determinism": self.config.training.determinism,
            "micro_batch": self.state.micro_batch,
            "parameters": model.parameter_count(self.state.model),
            "seconds": self.progress.seconds,
        } | ({"weights": weights} if weights else {})
