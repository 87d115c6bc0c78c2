"""The training loop, from top to bottom: epochs of optimizer steps, a score after each.

It knows nothing of HTTP or databases. It reports one step per epoch, obeys the verdict, and can be
cut off between any two optimizer steps and taken up again to the same numbers.
"""

import logging
from contextlib import ExitStack, closing, nullcontext
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import cast

import torch
from torch import Tensor

from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.spec.messages import BestStep, ConfusionMatrix, Outcome, OutcomeKind, Report
from tuner.spec.metrics import derive
from tuner.training import checkpoint, determinism, draws, memory, provenance, remedies
from tuner.training.batches.batches import Batches
from tuner.training.cadence import Cadence
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.evaluate import Evaluation
from tuner.training.examples import Examples
from tuner.training.gauges import Gauges
from tuner.training.ignore import IGNORE
from tuner.training.network import model
from tuner.training.network.model_files import write_model
from tuner.training.optimization.gradients import clip, clip_weights
from tuner.training.optimization.parameters import set_rate
from tuner.training.process_group import ProcessGroup
from tuner.training.session import Session
from tuner.training.shared_session import SharedSession
from tuner.training.steps import EpochSteps
from tuner.training.train_state import TrainState

logger = logging.getLogger(__name__)
MODEL = "model.pt"
# On CUDA each look at the loss waits for the device.
_CUDA_CHECK = 50
# A checkpoint holds the weights and, for most optimizers, one or two numbers beside each.
_COPIES = 3
_ONE_VALUE = "Expected more than 1 value per channel"  # torch's words
_SHOWN = ("miou", "images_per_second", "data_wait", "peak_memory_mb", "gpu_utilisation")


def train(  # noqa: PLR0913  # what an assignment says, and where
    config: TrialConfig,
    data: Data,
    session: Session,
    *,
    folder: Path,
    resume: Path | None = None,
    last_step: int = 0,
    best: BestStep | None = None,
    steps: int | None = None,
    context: DeviceContext = DeviceContext(),  # noqa: B008  # frozen
    examples: Examples | None = None,
    group: ProcessGroup = ProcessGroup(),  # noqa: B008  # has no state
) -> Outcome:
    """Train one trial, from its start or from the checkpoint `resume`, and say how it ended.

    `session` gets every epoch after `last_step`; `best` is the best up to it, if `config` asks for
    it. A training that stands for less than a whole one counts as fewer `steps` than it has epochs:
    the epochs at which the next one is full are scored and reported, then the trial is paused.
    Checkpoints go to `folder` as seldom as `context` allows, and always when a run ends before its
    trial does. `examples` look on when the validation split is scored; no number depends on them.

    Every process of a `group` calls it with the same arguments. They share each batch and each
    scoring; what the session of rank 0 says holds for all, and rank 0 alone writes.

    Raises:
        Diverged, OutOfMemory: loss or output is not finite; the micro-batch cannot shrink further.
        DataChanged, CheckpointMismatch: `resume` belongs to other data, another config or format.
        TrainingError: weights or checkpoint cannot be read; no epoch holds a whole batch; the
            weights of the best epoch are missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counting = EpochSteps(config.training.epochs, steps or config.training.epochs, last_step)
    with ExitStack() as stack:
        stack.enter_context(determinism.applied(config.training.determinism, context))
        batches = stack.enter_context(
            closing(Batches(data.train, config, context.device, rank=group.rank))
        )
        with memory.building(context):
            state = TrainState(config, data, context, counting.epochs * batches.per_epoch)
        session = SharedSession(session, group)
        checkpoints = _Checkpoints(state, folder, counting, session)
        stack.enter_context(checkpoints.writer)
        state.expect(group.rank)
        _begin(state, batches, resume)
        state.expect_best(best, after=counting.step(state.progress.step))
        state.join(group)
        evaluation = Evaluation(
            data.val, config, context, at_once=state.micro_batch, examples=examples, group=group
        )

        session.started(state.progress.step, batches.per_epoch, provenance.of(state))
        kind = _report_again(state, counting, session)
        if kind is None:
            kind = _train_epochs(
                state, batches, evaluation, checkpoints, counting=counting, session=session
            )
        checkpoints.leave(kind, folder / MODEL)
        step = counting.step(state.progress.step)
        return Outcome(kind=kind, step=step, provenance=provenance.of(state))


def _train_epochs(
    state: TrainState,
    batches: Batches,
    evaluation: Evaluation,
    checkpoints: "_Checkpoints",
    *,
    counting: EpochSteps,
    session: Session,
) -> OutcomeKind:
    """Train epoch by epoch to the end, or until somebody asks for an earlier one."""
    context, progress = state.context, state.progress
    for epoch in range(progress.epoch, counting.epochs + 1):
        gauges = Gauges(context, group=state.group)
        _start_epoch(epoch, state, batches)
        for cursor in range(progress.cursor, batches.per_epoch):
            if session.should_yield():
                progress.spend(gauges.device_seconds)
                return OutcomeKind.YIELDED
            step = (epoch - 1) * batches.per_epoch + cursor  # from 0, over the full budget
            gauges.batch_asked()
            images, labels = batches.batch(epoch, cursor)  # B×C×h×w in 0 … 255; B×h×w
            gauges.batch_arrived(batches.size)
            loss = optimizer_step(state, images, labels, step)
            state.add_loss(loss, step)
            progress.cursor = cursor + 1
            if not context.is_cuda or step % _CUDA_CHECK == 0:
                state.mean_loss(step)
                gauges.read_device()
            del images, labels, loss  # or the device holds them beside the next ones
            checkpoints.writer.poll()
            session.heartbeat()
        last = epoch * batches.per_epoch - 1
        loss_of_epoch = state.mean_loss(last)
        speed = gauges.speed()  # after the device has done all of it

        report = None
        if counting.completes_step(epoch):
            confusion = evaluation.confusion(state.scored, session.heartbeat)
            rest = {
                "train_loss": loss_of_epoch,
                "lr": state.rate(last),
                "images": float(epoch * batches.per_epoch * batches.size),  # seen so far
                **speed,
                **gauges.device(),
            }
            report = _report(state, counting.step(epoch), confusion, rest)
            evaluation.publish(report.step)
        report = state.close_epoch(counting.step(epoch), gauges.device_seconds, report)
        checkpoints.save_if_due()
        if report is None:
            continue
        asked = _tell(session, report, context)
        if asked is not None and (epoch < counting.epochs or counting.is_part):
            return asked
    return OutcomeKind.PAUSED if counting.is_part else OutcomeKind.COMPLETED


def _tell(session: Session, report: Report, context: DeviceContext) -> OutcomeKind | None:
    """Report a step, after the memory that it took; gives the ending asked for."""
    if (held := memory.held_mb(context)) is not None:
        session.memory_held(held)
    return session.report(report).action.outcome


def _start_epoch(epoch: int, state: TrainState, batches: Batches) -> None:
    """Let the changes that a config plans for an epoch take effect, after a resume too."""
    config = state.config
    if config.changes:
        now = config.at(epoch)
        state.follow(now)
        batches.follow(now)
    if config.model.freeze_epochs:
        model.freeze(state.model, epoch <= config.model.freeze_epochs)


def optimizer_step(state: TrainState, images: Tensor, labels: Tensor, step: int) -> Tensor:
    """Schedule, forward, backward, step: moves the state by one batch and gives its loss, a scalar.

    Images are B×C×h×w in 0 … 255, labels B×h×w, the own part of a batch that processes share. The
    loss is the whole batch's. The result depends on state, batch and `step` only.

    Raises:
        OutOfMemory: the micro-batch does not fit, halved or not as `state.may_shrink` says.
        TrainingError: an image passes alone, and batch norm gets one value per channel.
    """
    config = state.config
    set_rate(state.optimizer.param_groups, state.rate(step))
    loss, state.micro_batch = memory.halving(
        partial(_gradients, state, images, labels, step),
        min(state.micro_batch, len(images)),
        least=1 if state.may_shrink else state.micro_batch,
        context=state.context,
        advice=remedies.out_of_memory(config, may_shrink=state.may_shrink),
    )
    clip(state.model, config.training)
    state.optimizer.step()
    clip_weights(state.model, config.training)
    if state.average is not None:
        state.average.update(state.model, step)
    return loss


def _gradients(
    state: TrainState, images: Tensor, labels: Tensor, step: int, micro_batch: int
) -> Tensor:
    """Gradients of the whole batch from parts of at most `micro_batch` images; gives the loss.

    Each part counts by its share of the valid pixels, so that a loss that is a mean over valid
    pixels is the batch's own. Of a loss that is not (Dice, Lovász, RMI, OHEM's choice of pixels) it
    is the mean over the parts, each scored by itself. Ranks have parts like those of a micro-batch.
    """
    group = state.group
    # Dropout is the one consumer of torch's generator, so the position restores it.
    torch.manual_seed(draws.seed_of(state.config.seed, "step", step, *group.rank.own))
    state.optimizer.zero_grad(set_to_none=True)
    count = ceil(len(images) / micro_batch)
    try:
        if count == group.rank.count == 1:
            return _backward(state, images, labels, None)
        valid = group.total((labels != IGNORE).sum()).clamp(min=1)
        losses: list[Tensor] = []
        parts = zip(images.tensor_split(count), labels.tensor_split(count), strict=True)
        for part, own in parts:
            # Of the ranks' gradients the mean is taken, so that each counts as often as there are.
            share = (own != IGNORE).sum() / valid * group.rank.count
            with nullcontext() if len(losses) == count - 1 else state.apart():
                losses.append(_backward(state, part, own, share))
    except ValueError as error:
        if _ONE_VALUE not in str(error):
            raise
        raise TrainingError(
            remedies.one_value(state.config, micro_batch, group.rank.count)
        ) from error
    return group.total(torch.stack(losses).sum()) / group.rank.count


def _backward(state: TrainState, images: Tensor, labels: Tensor, share: Tensor | None) -> Tensor:
    """Forward and backward of what passes at once; the loss counts by its `share` of the batch."""
    with memory.limited(state.context):
        loss = state.training_pass(images, labels)
        if share is not None:
            loss = loss * share
    loss.backward()
    return cast(Tensor, loss.detach())


def _report(
    state: TrainState,
    step: int,
    confusion: ConfusionMatrix,
    rest: dict[str, float],
) -> Report:
    """The report of an epoch: scores from its confusion matrix, and the rest of its metrics."""
    metrics = {**derive(confusion, state.config.dataset.classes), **rest}
    words = " ".join(f"{name} {metrics[name]:.4g}" for name in _SHOWN if name in metrics)
    logger.info("epoch %d: %s", state.progress.epoch, words)
    return Report(step=step, metrics=metrics, confusion=confusion, data=state.owner.fingerprint)


def _report_again(state: TrainState, counting: EpochSteps, session: Session) -> OutcomeKind | None:
    """Report what a checkpoint knows and the server does not; gives the ending asked for."""
    for earlier in [past for past in state.progress.reports if past.step > counting.last]:
        asked = session.report(earlier).action.outcome
        if asked is not None and state.progress.epoch <= counting.epochs:
            return asked
    return None


# ── Before the first step ────────────────────────────────────────────────────────────────────────


def _begin(state: TrainState, batches: Batches, resume: Path | None) -> None:
    """Find a micro-batch that fits, or go on where a checkpoint left off with its own.

    The exact mode keeps the micro-batch of the first step to the end, on any machine: with another
    one the same config would give another number.
    """
    training = state.config.training
    if resume is not None:
        state.resume(resume)
        _keep_threads(state)
        logger.info("resuming at epoch %d, step %d", state.progress.epoch, state.progress.cursor)
    elif training.micro_batch is None and state.context.may_run_out:
        _find_micro_batch(state, batches)
    state.may_shrink = _may_shrink_later(state, batches)
    state.progress.threads = torch.get_num_threads()


def _may_shrink_later(state: TrainState, batches: Batches) -> bool:
    """Whether a step may halve the micro-batch.

    Among ranks the others would wait for this one; on a shared device others may be why it must.
    """
    training = state.config.training
    is_free = training.micro_batch is None and training.determinism != "exact"
    return is_free and batches.rank.count == 1 and not state.context.is_shared


def _keep_threads(state: TrainState) -> None:
    """Go on with the threads of the first steps, where the numbers depend on them."""
    threads, exact = state.progress.threads, state.config.training.determinism == "exact"
    if threads is None or state.context.is_cuda or not exact:
        return
    if threads != torch.get_num_threads():
        logger.info("going on with %d CPU threads, as the trial began", threads)
        torch.set_num_threads(threads)


def _find_micro_batch(state: TrainState, batches: Batches) -> None:
    known = memory.recall(state.config, state.context) or batches.size
    state.micro_batch = start = min(known, batches.size)
    images, labels = batches.batch(1, 0)  # a rank's are fewer than the batch's
    # What cannot shrink later must fit beside what the optimizer keeps from the first step on, and
    # beside the gradients that DDP holds a second time.
    held = [torch.empty_like(each) for each in state.model.parameters() if batches.rank.count > 1]
    probe(state, images, labels, steps=1 if _may_shrink_later(state, batches) else 2)
    del held
    if state.micro_batch == min(start, len(images)):
        state.micro_batch = start
    elif batches.rank.is_first:
        memory.remember(state.config, state.context, state.micro_batch)


def probe(state: TrainState, images: Tensor, labels: Tensor, *, steps: int = 1) -> None:
    """Make steps and take them back: what stays is a micro-batch that fits.

    Beside other trials it must be the one to begin with, or they would change the trial's numbers.
    """
    before, state.may_shrink = state.state_dict(), not state.context.is_crowded
    try:
        for _ in range(steps):
            optimizer_step(state, images, labels, 0)
    finally:
        state.load_state_dict(before)
        state.optimizer.zero_grad(set_to_none=True)


# ── What a training leaves ───────────────────────────────────────────────────────────────────────


class _Checkpoints:
    """Those of one run: written when they are worth their time, and no moment twice."""

    def __init__(
        self, state: TrainState, folder: Path, counting: EpochSteps, session: Session
    ) -> None:
        def saved(path: Path, epoch: int) -> None:
            session.checkpoint_saved(path, counting.step(epoch))

        self._state = state
        self.writer = checkpoint.Writer(folder, state.owner, saved)
        copies = _COPIES + (state.best is not None)
        size = memory.footprint(state.model, copies=copies)
        self._cadence = Cadence(size, most=state.context.checkpoint_seconds)
        self._saved_at: tuple[int, int] | None = None

    def save_if_due(self) -> None:
        """Begin to write one of this moment if it is worth its time."""
        if self._cadence.is_due:
            self.save()

    def leave(self, kind: OutcomeKind, model: Path) -> None:
        """Save what is needed of a run that ends so: its model, or what it goes on from."""
        if kind is not OutcomeKind.COMPLETED:
            self.save()
        elif self._state.group.rank.is_first:
            save_model(self._state, model)

    def save(self) -> None:
        """Begin to write one of this moment, unless that was done before."""
        moment = (self._state.progress.epoch, self._state.progress.cursor)
        if moment == self._saved_at or not self._state.group.rank.is_first:
            return
        self._saved_at = moment
        began = perf_counter()
        progress, tensors = self._state.snapshot()
        copying = perf_counter() - began
        self.writer.save(
            progress, tensors, timed=lambda seconds: self._cadence.saved(copying + seconds)
        )


def save_model(state: TrainState, path: Path) -> None:
    """Write the weights of the epoch that counts, the last or the best, with their config."""
    if state.best is not None:
        state.best.restore(state.scored)
    write_model(path, state.scored, state.config)
