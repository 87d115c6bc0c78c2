"""Tells each webhook of events, in the order of each study, until a receiver has taken them."""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from api.webhooks import messages
from api.webhooks.hooks import Hook
from api.webhooks.posting import Posted, post
from tuner.background import duty
from tuner.errors import StorageError
from tuner.service import webhooks
from tuner.service.storage import Database
from tuner.service.webhooks import Unsent
from tuner.spec.views import Event

Post = Callable[[Hook, bytes, Mapping[str, str]], Posted]
POLL_SECONDS = 1.0
ASIDE_SECONDS = 5.0  # between two looks whether another process still sends
LONGEST_PAUSE = 600.0
REFUSALS = 8  # of one event, in a row, until it is left out: those after it wait
_BEHIND = 1_000  # events of kinds that nobody wants, after which it is noted that they are past
logger = logging.getLogger(__name__)


@contextmanager
def sending(db: Database, hooks: Sequence[Hook]) -> Iterator[None]:
    """Send while the block lasts, each webhook in a thread of its own."""
    with ExitStack() as stack:
        for hook in hooks:
            ended = threading.Event()
            sender = Sender(db, hook, is_ended=ended.is_set)

            def run(sender: Sender = sender, ended: threading.Event = ended) -> None:
                pause = POLL_SECONDS
                while not ended.wait(pause):
                    pause = sender.round()
                sender.close()

            stack.enter_context(duty(run, name=f"webhook {hook.name}", stop=ended.set))
        yield


class Sender:
    """Sends to one webhook, as long as no other process does."""

    def __init__(
        self,
        db: Database,
        hook: Hook,
        *,
        post: Post = post,
        is_ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._db, self._hook, self._post, self._is_ended = db, hook, post, is_ended
        self._me = secrets.token_hex(8)
        self._failures = 0
        self._held_at = -math.inf
        self._after = 0  # the study up to which this turn has come
        self._refused: tuple[str, int] = ("", 0)  # the event, and how often

    def round(self) -> float:
        """Send what there is; gives the seconds to wait before the next round."""
        name = self._hook.name
        try:
            if not self._holds():
                return ASIDE_SECONDS
            found = webhooks.unsent(self._db, name, self._hook.events, after=self._after)
            are_more = len(found) == webhooks.STUDIES
            for unsent in found:
                if (pause := self._send(unsent, is_noted=are_more)) is not None:
                    return pause
            self._after = found[-1].study_id if are_more else 0
            return 0.0 if are_more else POLL_SECONDS
        except StorageError as error:
            logger.warning("webhook %s waits for the database: %s", name, error)
            return POLL_SECONDS
        except Exception:  # the thread must outlive this round
            logger.exception("webhook %s failed; it is tried again", name)
            return self._pause()

    def close(self) -> None:
        """Let another process send at once."""
        try:
            webhooks.release(self._db, self._hook.name, self._me)
        except StorageError as error:
            logger.info("webhook %s is let go when its time is over: %s", self._hook.name, error)

    def _holds(self) -> bool:
        """Whether it is this process that sends; asked of the database every now and then."""
        if time.monotonic() - self._held_at < webhooks.HELD_SECONDS / 3:
            return True
        asked = time.monotonic()
        if not webhooks.hold(self._db, self._hook.name, self._me):
            return False
        self._held_at = asked
        return True

    def _send(self, unsent: Unsent, *, is_noted: bool) -> float | None:
        """Send the events of a study; after a failure gives the seconds to wait.

        That there is nothing for it is only noted (`is_noted`) where others wait behind it.
        """
        hook = self._hook
        events = unsent.events if hook.wants(unsent.study) else ()
        for event in events:
            if self._is_ended() or not self._holds():
                return POLL_SECONDS
            answer = self._deliver(unsent, event)
            if not answer.is_taken and not self._is_given_up(unsent, event, answer):
                return max(answer.wait, self._pause())
            self._failures = 0
            webhooks.note_sent(self._db, hook.name, unsent.study_id, event.seq)
        if is_noted or unsent.events or unsent.last - unsent.sent >= _BEHIND:
            webhooks.note_sent(self._db, hook.name, unsent.study_id, unsent.last)
        return None

    def _deliver(self, unsent: Unsent, event: Event) -> Posted:
        identity = messages.message_id(unsent.study_id, event)
        content = messages.body(self._hook, unsent, event)
        headers = messages.headers(self._hook, identity, content, now=time.time())
        answer = self._post(self._hook, content, headers)
        if not answer.is_taken and self._failures == 0:
            logger.warning(
                "webhook %s at %s did not take event %s of %s, and gets it again: %s",
                self._hook.name,
                self._hook.host,
                event.seq,
                unsent.study,
                answer.reason,
                extra={"study": unsent.study},
            )
        return answer

    def _is_given_up(self, unsent: Unsent, event: Event, answer: Posted) -> bool:
        """Whether the receiver has refused this event so often that those after it may go on."""
        if not answer.is_final:
            return False
        identity = messages.message_id(unsent.study_id, event)
        known, count = self._refused
        self._refused = (identity, count + 1 if known == identity else 1)
        if self._refused[1] < REFUSALS:
            return False
        logger.error(
            "webhook %s never took event %s of %s, which is left out: %s",
            self._hook.name,
            event.seq,
            unsent.study,
            answer.reason,
            extra={"study": unsent.study},
        )
        return True

    def _pause(self) -> float:
        self._failures += 1
        return min(LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 20))
