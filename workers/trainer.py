"""The trainer process: trains what the agent sends, and stays warm between trials.

Started as `python -m workers.trainer --device D --threads N --cache DIR --root DIR …
--checkpoint-seconds S --log-format F READ WRITE`, where READ and WRITE are the numbers of its two
pipes. Output goes to stdout and stderr as usual.
"""

import argparse
import faulthandler
import logging
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tuner import logs
from tuner.background import duty
from tuner.errors import DataChanged, SegtuneError, TrainingError
from tuner.spec.config import DatasetConfig
from tuner.spec.deployment import Deployment
from tuner.spec.messages import Outcome, OutcomeKind, Unfitness, Verdict
from tuner.wording import quantity
from workers.channel import AgentChannel
from workers.protocol import (
    PREVIEW,
    STACK_SIGNAL,
    Finished,
    Ready,
    Start,
    digest,
)

if TYPE_CHECKING:
    from tuner.training.data.load import Data
    from tuner.training.determinism import DeviceContext

logger = logging.getLogger("workers.trainer")  # run with -m, the module is called otherwise
_MEASURING_SECONDS = 300.0  # in most cases it takes some; an export or a measurement may hang


@dataclass
class Trainer:
    """What the process keeps between trials."""

    channel: AgentChannel
    device: str
    threads: int | None
    cache: Path
    roots: tuple[Path, ...]
    checkpoint_seconds: float = 0.0
    log_format: logs.LogFormat = "text"

    def run(self, start: Start) -> Finished:
        """Train one trial; every exception becomes an outcome."""
        with logs.about(everywhere=True, **start.about):
            return self._run(start)

    def _run(self, start: Start) -> Finished:
        model, epochs = start.config.model, start.config.training.epochs
        logger.info("%s on %s for %s", model.decoder, model.encoder, quantity(epochs, "epoch"))
        try:
            outcome = self._train(start)
        except Exception as error:
            outcome = failure(error, start.last_step)
            logger.info("it ends: %s", outcome.error)
        else:
            logger.info("it ends: %s at epoch %d", outcome.kind, outcome.step)
        if start.is_shared:
            self._give_up_memory()
        return Finished(outcome=outcome, digest=digest(start.config))

    def _train(self, start: Start) -> Outcome:
        data = self._load(start.config.dataset)
        if start.data_version not in (None, data.fingerprint):
            return outdated(start, data)
        if start.measure is not None:
            asked = self._measured(start, data, start.measure).action.outcome
            if asked is not None:
                return Outcome(kind=asked, step=start.last_step)
        with drawing(start, data):
            try:
                return self._trained(start, data, start.resume)
            except DataChanged as error:
                if start.last_step:
                    return outdated(start, data)
                logger.warning("the trial starts again: %s", error)
                return self._trained(start, data, None)

    def _measured(self, start: Start, data: "Data", deployment: Deployment) -> Verdict:
        """What the server makes of what the network costs; no epoch is trained before."""
        from tuner.delivery.costs import measured

        channels = len(data.train.mean)
        with self.channel.loading(seconds=_MEASURING_SECONDS):
            found = measured(
                start.config,
                deployment,
                channels=channels,
                context=self._context(self.threads),
                roots=self.roots,
            )
        return self.channel.measured(found)

    def _trained(self, start: Start, data: "Data", resume: Path | None) -> Outcome:
        from tuner.training.examples import Examples
        from tuner.training.train import train
        from workers.other_ranks import RankTask, together

        threads = start.threads or self.threads
        if threads != self.threads:
            logger.info("training with %s threads, as the trial began", threads)
        task = RankTask(
            start=start.model_copy(update={"resume": resume}),
            data=data.fingerprint,
            device=self.device,
            threads=shared(threads, start.gpus, self.device),
            cache=self.cache,
            roots=self.roots,
            log_format=self.log_format,
        )
        with (
            Examples(
                data.val,
                start.config.dataset,
                start.examples,
                start.folder,
                self.channel.sheet_drawn,
            ) as examples,
            together(task, partial(self._cut_off, start)) as group,
        ):
            return train(
                start.config,
                data,
                self.channel,
                folder=start.folder,
                resume=resume,
                last_step=start.last_step,
                best=start.best,
                steps=start.steps,
                context=self._context(
                    task.threads, is_shared=start.is_shared, is_crowded=start.is_crowded
                ),
                examples=examples,
                group=group,
            )

    def _cut_off(self, start: Start, outcome: Outcome | None) -> NoReturn:
        """End the process, which waits for a rank that is gone; say why, if that one did."""
        if outcome is not None:
            logger.info("it ends: %s", outcome.error)
            self.channel.finish(Finished(outcome=outcome, digest=digest(start.config)))
        os._exit(1)

    def _context(
        self, threads: int | None, *, is_shared: bool = False, is_crowded: bool = False
    ) -> "DeviceContext":
        from tuner.training.determinism import DeviceContext

        return DeviceContext(
            device=self.device,
            threads=threads,
            cache=self.cache,
            checkpoint_seconds=self.checkpoint_seconds,
            is_shared=is_shared,
            is_crowded=is_crowded,
        )

    def _give_up_memory(self) -> None:
        """Leave what the trial took to the others on the device."""
        from tuner.training.memory import release

        release(self._context(self.threads))

    def _load(self, dataset: DatasetConfig) -> "Data":
        """The data as they are now: decoded already, they cost a look at each file's date."""
        from tuner.training.data.load import load

        with self.channel.loading():
            return load(dataset, cache=self.cache, roots=self.roots)


def shared(threads: int | None, gpus: int, device: str) -> int | None:
    """A process's threads among those that share a trial: a worker's threads are a GPU's."""
    if threads is None or device.startswith("cuda"):
        return threads
    return max(1, threads // gpus)


@contextmanager
def drawing(start: Start, data: "Data") -> Iterator[None]:
    """Draw a new trial's training samples beside its first epoch; it changes no number of it."""
    if start.last_step:
        yield
        return
    with duty(partial(draw, start, data), name="preview", stop=lambda: None):
        yield


def draw(start: Start, data: "Data") -> None:
    """Write the preview into the trial's folder; a trial does not fail because it has none."""
    from tuner.training.preview.sheet import sheet, write

    try:
        image = sheet(start.config, data.train)
        write(start.folder / PREVIEW, image)
    except Exception:
        logger.warning("no preview was drawn", exc_info=True)


def failure(error: Exception, step: int) -> Outcome:
    """The outcome of a trial that raised: the message first, then the end of the traceback.

    A trial that failed for this machine's surroundings is given back to be trained elsewhere.
    """
    from tuner.training.failures import classify

    text = f"{type(error).__name__}: {error}"[:4_000]
    if not isinstance(error, SegtuneError):
        text += "\n\n" + "".join(traceback.format_exception(error))[-8_000:]
    kind = classify(error)
    given_back = kind in set(Unfitness)
    return Outcome(
        kind=OutcomeKind.YIELDED if given_back else OutcomeKind.FAILED,
        step=step,
        error=text,
        error_kind=kind,
    )


def outdated(start: Start, data: "Data") -> Outcome:
    """The outcome of a trial whose earlier epochs saw other data: it must start again."""
    was, now = (start.data_version or "unknown")[:12], data.fingerprint[:12]
    logger.warning("the data changed since the trial's first epochs: from %s to %s", was, now)
    return Outcome(
        kind=OutcomeKind.OUTDATED, step=start.last_step, provenance={"data": data.fingerprint}
    )


def check_device(device: str) -> None:
    """Raise TrainingError when torch cannot use the device."""
    import torch

    try:
        torch.zeros(1, device=device).add_(1).cpu()
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            f"torch {torch.__version__} cannot use {device}: {error}; install a torch build for "
            "this device, or start the worker with --device cpu"
        ) from error


def _tell_where() -> None:
    """Put the stack of every thread into the log, in a crash and when the agent asks for it."""
    output = 2  # the log itself, whatever a library makes of `sys.stderr`
    faulthandler.enable(output)
    faulthandler.register(STACK_SIGNAL, file=output)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what comes, until the agent closes its pipe."""
    parser = argparse.ArgumentParser(prog="python -m workers.trainer")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--root", type=Path, action="append", default=[])
    parser.add_argument("--checkpoint-seconds", type=float, default=0.0)
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("read", type=int)
    parser.add_argument("write", type=int)
    options = parser.parse_args(arguments)
    _tell_where()
    # What we say of a trial is what its page shows while it runs.
    logs.configure("info", options.log_format)
    channel = AgentChannel(options.read, options.write)
    trainer = Trainer(
        channel,
        options.device,
        options.threads,
        options.cache,
        tuple(options.root),
        options.checkpoint_seconds,
        options.log_format,
    )
    check_device(options.device)
    import tuner.training.train  # noqa: F401  # so that the first trial finds everything loaded

    channel.send(Ready())
    from tuner.training.process_group import is_bound

    for start in channel.starts():
        channel.finish(trainer.run(start))
        if is_bound():
            os._exit(1)


if __name__ == "__main__":
    main()
