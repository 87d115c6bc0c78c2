"""Delivers an outbox to the server in order, from a thread of its own, however long that takes."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, takewhile
from typing import Self

from tuner.background import duty
from tuner.errors import (
    LeaseLost,
    SegtuneError,
    ServerError,
    ServerFailing,
    ServerFull,
    ServerUnreachable,
)
from tuner.spec.deployment import Measured
from tuner.spec.examples import SHEETS
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Action, Report, Verdict
from tuner.wording import quantity
from workers.client import FATAL, ServerClient
from workers.limits import Backoff
from workers.notices import Notices
from workers.outbox import Entry, FileEntry, MeasuredEntry, Outbox, OutcomeEntry, ReportEntry
from workers.retries import TRIES, RetryLimit, pause

logger = logging.getLogger(__name__)
BATCH = 20
_ENDS = (LeaseLost, *FATAL)


class Delivery:
    """What is in an outbox, on its way to the server.

    `on_verdict` gets verdicts that came too late to be the answer of `report`; `on_refusal` gets
    the error that ended the delivery: LeaseLost, or a refusal that asking again will not change,
    after which `refused` holds what was refused. A server that is away is waited for without end.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: ServerClient,
        *,
        on_verdict: Callable[[Verdict], None],
        on_refusal: Callable[[SegtuneError], None],
        log: Callable[[], str] = str,
        backoff: Backoff | None = None,
    ) -> None:
        """Send what `log` gives with the outcome: it is not kept in the outbox."""
        self._last_output = log
        self._outbox, self._client = outbox, client
        self._on_verdict, self._on_refusal = on_verdict, on_refusal
        self._backoff = backoff or Backoff()
        header = outbox.header
        self._retries = RetryLimit(lambda: client.renew(header.lease, header.token))
        self._changed = threading.Condition()
        self._unwanted: set[ArtifactKind] = set()
        self._late: list[Entry] = []  # files for which the server had no room
        self._late_tries = 0
        self.notices = Notices()
        self._sent = 0
        self._awaited: int | None = None
        self._verdict = Verdict()
        self._away = False
        self._ended = False
        self.refusal: SegtuneError | None = None
        self.refused: tuple[Entry, ...] = ()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Deliver while the block lasts; what is left then stays on disk."""
        with duty(self._run, name="delivery", stop=self._end, wait=0):
            yield self

    def report(self, report: Report, *, patience: float = 5.0) -> Verdict:
        """Put a report in and give the server's verdict.

        Training goes on (`continue`) when the server does not answer, or not within `patience`
        seconds.
        """
        return self._asked(ReportEntry(report=report), patience)

    def measured(self, measured: Measured, *, patience: float = 5.0) -> Verdict:
        """Put in what the network costs and give the server's verdict, as for a report."""
        return self._asked(MeasuredEntry(measured=measured), patience)

    def _asked(self, entry: Entry, patience: float) -> Verdict:
        with self._changed:
            self._outbox.append(entry)
            mine = self._awaited = len(self._outbox.entries)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._sent >= mine or self._away or self.refusal is not None, patience
            )
            self._awaited = None
            if self.refusal is not None:
                return Verdict(action=Action.STOP, reason=str(self.refusal))
            return self._verdict if self._sent >= mine else Verdict()

    def put(self, entry: Entry) -> None:
        """Put a file or the outcome in."""
        with self._changed:
            self._outbox.append(entry)
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until the outcome has arrived or the delivery has been refused."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self.refusal is not None or (self._outbox.is_complete and not self._left()),
                seconds,
            )

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _left(self) -> int:
        return len(self._outbox.entries) - self._sent

    def _run(self) -> None:
        delays = self._backoff.delays()
        while batch := self._next():
            is_late = batch[0] in self._late
            try:
                verdict = self._deliver(batch)
            except Exception as error:
                refusal = self._refusal(error, is_late=is_late)
                if refusal is None:
                    if not is_late:
                        self._note_away(error)
                    with self._changed:
                        self._changed.wait_for(lambda: self._ended, pause(next(delays), error))
                    continue
                if not isinstance(batch[0], FileEntry) or isinstance(refusal, _ENDS):
                    self._refuse(batch, refusal)
                    return
                # The outcome matters more than a file that cannot be stored.
                logger.warning("%s of %s not stored: %s", batch[0].artifact, self._name, refusal)
                verdict = None
            delays = self._backoff.delays()
            self._retries.renew()
            if is_late:
                self._late.remove(batch[0])
            self._note_sent(0 if is_late else len(batch), verdict)

    def _refusal(self, error: Exception, *, is_late: bool) -> Exception | None:
        """What an error means if asking again will not change it; None if it may pass.

        A full server is waited for without end, but not by files that hold up the outcome.
        """
        if not isinstance(error, ServerUnreachable):
            return error
        if is_late and isinstance(error, ServerFull):
            self._late_tries += 1
            return error if self._late_tries >= TRIES else None
        try:
            is_over = self._retries.is_over(error)
        except SegtuneError as lost:
            return lost
        tries = f"{quantity(self._retries.tries, 'time')} while the server answered other requests"
        return ServerError(f"{error} ({tries})") if is_over else None

    def _refuse(self, batch: tuple[Entry, ...], error: Exception) -> None:
        if not isinstance(error, SegtuneError):
            logger.error("%s: delivery failed", self._name, exc_info=error)
            error = ServerError(f"{type(error).__name__}: {error}")
        self.refused = batch
        self._on_refusal(error)  # first: it is there for whoever waits
        with self._changed:
            self.refusal = error
            self._changed.notify_all()

    def _next(self) -> tuple[Entry, ...]:
        """The next entries of one kind, once there are any; none when the delivery has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._left() > 0)
            if self._ended:
                return ()
            rest = self._outbox.entries[self._sent :]
        if isinstance(rest[0], OutcomeEntry) and self._late:
            return (self._late[0],)
        if isinstance(rest[0], ReportEntry):
            return tuple(islice(takewhile(lambda e: isinstance(e, ReportEntry), rest), BATCH))
        return (rest[0],)

    def _deliver(self, batch: tuple[Entry, ...]) -> Verdict | None:
        header, first = self._outbox.header, batch[0]
        if isinstance(first, OutcomeEntry):
            outcome = first.outcome.model_copy(update={"log": self._last_output() or None})
            self._client.finish(header.lease, header.token, outcome)
            return None
        if isinstance(first, FileEntry):
            hand_in = self._show if first.artifact in SHEETS else self._store
            hand_in(first)
            return None
        if isinstance(first, MeasuredEntry):
            return self._client.measure(header.lease, header.token, first.measured).verdict
        reports = tuple(entry.report for entry in batch if isinstance(entry, ReportEntry))
        return self._client.report(header.lease, header.token, reports).verdict

    def _store(self, file: FileEntry) -> None:
        """Hand in a file; while the server has no room for it, reports go before it.

        Raises:
            ServerFull: there is none at the end either.
        """
        try:
            self._upload(file)
        except ServerFull as error:
            self.notices.trouble(f"files of {self._name} wait: {error}")
            if file in self._late:
                raise
            self._late.append(file)

    def _upload(self, file: FileEntry) -> None:
        header = self._outbox.header
        self._client.upload(
            header.lease,
            header.token,
            file.path,
            kind=file.artifact,
            step=file.step,
            details=file.details,
        )
        self.notices.over("files are stored again")

    def _show(self, sheet: FileEntry) -> None:
        """Hand in an image, at one attempt if the server answers; nothing of it stays here.

        After a refusal no other of its kind is tried: the server may be of an earlier release.
        """
        if sheet.artifact in self._unwanted or not sheet.path.exists():
            return
        try:
            self._upload(sheet)
        except ServerFull as error:
            self.notices.trouble(f"files of {self._name} are not stored: {error}")
        except ServerFailing as error:
            logger.warning("%s of %s not stored: %s", sheet.artifact, self._name, error)
        except (ServerUnreachable, *_ENDS):
            raise
        except Exception as error:
            logger.warning("%s of %s are not wanted: %s", sheet.artifact, self._name, error)
            self._unwanted.add(sheet.artifact)
        with suppress(OSError):
            sheet.path.unlink(missing_ok=True)

    @property
    def _name(self) -> str:
        return f"{self._outbox.header.study}/{self._outbox.header.trial}"

    def _note_away(self, error: Exception) -> None:
        with self._changed:
            if not self._away:
                logger.warning("reports of %s wait: %s", self._name, error)
            self._away = True
            self._changed.notify_all()

    def _note_sent(self, count: int, verdict: Verdict | None) -> None:
        with self._changed:
            if self._away:
                logger.info("%s answers again", self._outbox.header.server)
            self._away = False
            self._sent += count
            late = verdict is not None and self._awaited != self._sent and not self._left()
            self._verdict = verdict or self._verdict
            self._changed.notify_all()
        if late and verdict is not None:
            self._on_verdict(verdict)
