"""One attempt at a trial: from its assignment to its outcome, with everything handed in.

What starts what, in the order in which they start:

1. `agent` leases a trial, opens its outbox on disk and calls `Attempt.run` in its main thread.
2. The heartbeat's thread renews the lease; it is the first to start and the last to end.
3. The delivery's thread sends what is appended to the outbox, in order, for as long as it takes.
4. The uploads' thread keeps the newest checkpoint on the server.
5. `TrainerDriver.run` sends `Start` to the trainer process and takes its messages in the main
   thread: a report goes into the outbox and its verdict back to the trainer, a checkpoint to the
   uploads. What else the three threads learn comes as an event into the same queue: a verdict
   (`VerdictEvent`), or that the server takes no more (`LeaseEnded`).

The end comes the other way round. The trainer says `Finished`, or is killed; the uploads end, and a
checkpoint that they still owe goes into the outbox, then the files and last the outcome; the
delivery is waited for until that has arrived, or until `Limits.shutdown_grace` is over when the
worker stops; the heartbeat ends. The outbox is then deleted, or left for the next agent. A lost
lease drops the work instead, and the trainer stays warm for the next trial unless it was killed.
"""

import logging
import threading
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path

from tuner import logs
from tuner.errors import LeaseLost, SegtuneError, ServerUnreachable
from tuner.spec.deployment import Measured
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import (
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    Unfitness,
    Verdict,
)
from workers import recovery
from workers.client import FATAL, ServerClient
from workers.delivery import Delivery
from workers.driver import TrainerDriver
from workers.heartbeat import lease_heartbeat
from workers.limits import Limits
from workers.outbox import FileEntry, Outbox, OutcomeEntry
from workers.outcomes import needs_checkpoint, needs_log, unfit
from workers.process import LeaseEnded, TrainerProcess, VerdictEvent
from workers.protocol import PREVIEW, Saved, Start
from workers.retries import RetryLimit
from workers.sheets import Sheets
from workers.slots import Stay
from workers.uploads import Uploads
from workers.vitals import Pulse

logger = logging.getLogger(__name__)
_LOG_BYTES = 1 << 20


class Attempt:
    """An assignment, its outbox, and the threads that keep the server informed."""

    def __init__(
        self,
        stay: Stay,
        outbox: Outbox,
        *,
        trainer: TrainerProcess,
        client: ServerClient,
        stop: threading.Event,
        limits: Limits,
    ) -> None:
        self._stay, self._assignment, self._outbox = stay, stay.assignment, outbox
        assignment = stay.assignment
        self._trainer, self._client = trainer, client
        self._stop, self._limits = stop, limits
        self._pulse = Pulse(
            trainer.usage, self._log_tail, secrets=(assignment.token, *client.secrets)
        )
        self._delivery = Delivery(
            outbox,
            client,
            on_verdict=self._on_verdict,
            on_refusal=self._on_refusal,
            log=self._pulse.log,
            backoff=limits.backoff,
        )
        self._uploads = Uploads(
            self._upload,
            every=limits.checkpoint,
            on_refusal=self._on_refusal,
            backoff=limits.backoff,
            retries=self._retry_limit(),
        )
        self._sheets = Sheets(self._delivery.put, every=limits.examples, clock=limits.clock)
        self._driver = TrainerDriver(
            stay, outbox, trainer, stop=stop, limits=limits, show=self._sheets.take
        )
        self._refused = threading.Event()
        self._refusal: SegtuneError | None = None
        self._has_preview = False
        self._remarks: list[str] = []
        self._name = f"{assignment.study}/{assignment.trial}"

    def run(self) -> Outcome | None:
        """Train and hand everything in; None when the server refused and the work was dropped.

        What could not be handed in before the worker had to go stays in the outbox.

        Raises:
            Unauthorized: the server's token has changed; the outbox is kept.
            UnsupportedVersion: the server is of another release by now; the outbox is kept.
        """
        with ExitStack() as stack:
            stack.enter_context(self._heartbeat())
            stack.enter_context(self._delivery.running())
            stack.enter_context(self._uploads.running())
            outcome = self._stay.read(self._train())
            is_delivered = not self._refused.is_set() and self._hand_in(outcome)
        if self._refusal is not None:
            self._drop(self._refusal)
            return None
        logger.info("%s %s at step %d", self._name, outcome.kind, outcome.step)
        if is_delivered:
            self._outbox.remove()
        else:
            logger.warning("%s: the rest waits in %s", self._name, self._outbox.folder)
            self._outbox.release()
        return outcome

    # ── Training ─────────────────────────────────────────────────────────────────────────────

    def _train(self) -> Outcome:
        try:
            checkpoint = self._fetch_checkpoint()
        except ServerUnreachable:
            return Outcome(kind=OutcomeKind.YIELDED, step=self._assignment.last_step)
        except (LeaseLost, *FATAL) as error:
            self._on_refusal(error)
            return Outcome(kind=OutcomeKind.YIELDED, step=self._assignment.last_step)
        except OSError as error:
            return unfit(Unfitness.MACHINE, self._assignment.last_step, error)
        start = Start(
            config=self._assignment.config,
            folder=self._outbox.files,
            resume=checkpoint,
            last_step=self._assignment.last_step,
            best=self._assignment.best,
            steps=self._assignment.steps,
            data_version=self._assignment.data_version,
            threads=self._assignment.threads,
            measure=self._assignment.measure,
            examples=self._assignment.examples,
            gpus=self._assignment.gpus,
            is_shared=self._stay.is_shared,
            is_crowded=self._stay.beside > 0,
            about=logs.current(),
        )
        return self._driver.run(
            start,
            judge=self._judge,
            offer=self._uploads.offer,
        )

    def _judge(self, message: Report | Measured) -> Verdict:
        patience = self._limits.verdict
        if isinstance(message, Measured):
            return self._delivery.measured(message, patience=patience)
        verdict = self._delivery.report(message, patience=patience)
        self._hand_in_preview()
        return verdict

    def _fetch_checkpoint(self) -> Path | None:
        """The checkpoint to go on from. Raises ServerUnreachable when the attempt must end."""
        resume = self._assignment.resume
        if resume is None:
            return None
        path = self._outbox.folder / "resume.pt"
        try:
            return self._client.patiently(
                lambda: self._client.download(resume, path),
                give_up=self._must_end,
                retries=self._retry_limit(),
            )
        except (ServerUnreachable, LeaseLost, *FATAL):
            raise
        except SegtuneError as error:
            # The same config from step 1 gives the same numbers, only later.
            self._remarks.append(f"{self._name} starts afresh: {error}")
            logger.warning("%s", self._remarks[-1])
            return None

    def _must_end(self, seconds: float) -> bool:
        """Wait that long, and say whether the worker is to stop or the lease is lost."""
        end = self._limits.clock() + seconds
        while (left := end - self._limits.clock()) > 0:
            if self._stop.wait(min(left, self._limits.tick)) or self._refused.is_set():
                return True
        return self._refused.is_set()

    # ── Handing in ───────────────────────────────────────────────────────────────────────────

    def _hand_in(self, outcome: Outcome) -> bool:
        """Put files and outcome into the outbox; True when they have arrived."""
        unsent = self._uploads.close()
        ends_stage = self._assignment.steps is not None and outcome.kind is OutcomeKind.PAUSED
        if unsent is not None and needs_checkpoint(outcome) and not ends_stage:
            self._put(ArtifactKind.CHECKPOINT, unsent.path, unsent.step)
        self._hand_in_preview()
        self._sheets.close()
        model = self._outbox.files / "model.pt"
        if outcome.kind is OutcomeKind.COMPLETED and model.exists():
            epoch = outcome.provenance.get("model_epoch")
            self._put(ArtifactKind.MODEL, model, epoch if isinstance(epoch, int) else None)
        if needs_log(outcome):
            path = self._outbox.files / "trainer.log"
            with suppress(OSError):  # a disk that is full may be why it ends
                path.write_text(self._log_tail(_LOG_BYTES), encoding="utf-8")
                self._put(ArtifactKind.LOG, path)
        self._delivery.put(OutcomeEntry(outcome=outcome))
        end: float | None = None
        while not self._delivery.wait(self._limits.tick):
            if self._stop.is_set() and end is None:
                end = self._limits.clock() + self._limits.shutdown_grace
            if self._refused.is_set() or (end is not None and self._limits.clock() > end):
                return False
        return True

    def _hand_in_preview(self) -> None:
        """Put the preview into the outbox, once, when the trainer has drawn it."""
        path = self._outbox.files / PREVIEW
        if not self._has_preview and path.exists():
            self._has_preview = True
            self._put(ArtifactKind.PREVIEW, path)

    def _put(self, artifact: ArtifactKind, path: Path, step: int | None = None) -> None:
        self._delivery.put(FileEntry(artifact=artifact, path=path, step=step))

    def _drop(self, refusal: SegtuneError) -> None:
        """Drop the work; a refusal that is not the lease's end is reported as the trial's failure.

        Raises:
            Unauthorized, UnsupportedVersion: the outbox is kept for an agent that may deliver it.
        """
        if isinstance(refusal, FATAL):
            self._outbox.release()
            raise refusal
        logger.warning("%s is dropped: %s", self._name, refusal)
        if not isinstance(refusal, LeaseLost):
            recovery.end_refused(
                self._outbox, self._delivery, self._client, give_up=self._stop.wait
            )
        self._outbox.remove()

    # ── Duties in the background ─────────────────────────────────────────────────────────────

    def _heartbeat(self) -> AbstractContextManager[None]:
        return lease_heartbeat(
            self._renew,
            interval=self._assignment.lease_seconds / 3,
            on_verdict=self._on_verdict,
            on_refusal=self._on_refusal,
        )

    def _renew(self) -> LeaseStatus:
        vitals = self._pulse.vitals()
        lease, token = self._assignment.lease, self._assignment.token
        status = self._client.renew(lease, token, vitals)
        self._pulse.arrived(vitals)
        return status

    def _log_tail(self, size: int) -> str:
        """The trainer's last output, and what this worker has to say of the trial now."""
        now = (self._outbox.notices.text, self._delivery.notices.text, self._uploads.notices.text)
        said = "".join(f"[worker] {text}\n" for text in (*self._remarks, *now) if text)
        tail = self._driver.log_tail(size)
        return f"{tail.rstrip()}\n{said}".lstrip() if said else tail

    def _retry_limit(self) -> RetryLimit:
        lease, token = self._assignment.lease, self._assignment.token
        return RetryLimit(lambda: self._client.renew(lease, token))

    def _upload(self, saved: Saved) -> None:
        lease, token = self._assignment.lease, self._assignment.token
        self._client.upload(lease, token, saved.path, kind=ArtifactKind.CHECKPOINT, step=saved.step)

    def _on_verdict(self, verdict: Verdict) -> None:
        self._trainer.inbox.put(VerdictEvent(self._assignment.lease, verdict))

    def _on_refusal(self, error: SegtuneError) -> None:
        self._refusal = self._refusal or error
        self._refused.set()
        self._trainer.inbox.put(LeaseEnded(self._assignment.lease, error))
