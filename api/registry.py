"""What one server process remembers of the tokens, so that no request waits for the database.

A token that was revoked elsewhere is refused after `FRESH_SECONDS` at the latest. While the
database does not answer nothing can be revoked either, and what is known stays good for a while.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic

from starlette.concurrency import run_in_threadpool

from tuner.errors import StorageError
from tuner.service import logins, tokens
from tuner.service.logins import KnownLogin
from tuner.service.storage import Database
from tuner.service.tokens import KnownTokens
from tuner.spec.access import Caller

logger = logging.getLogger(__name__)
FRESH_SECONDS = 2.0
NOTE_SECONDS = 60.0  # between two writes of when a token was last used
_GUESS_SECONDS = 0.25  # between two reads for secrets that are not known, however many guess
_STALE_SECONDS = 60.0
_MOST_LOGINS = 1000  # that are remembered, with cookies that let nobody in


class Registry:
    """The tokens by the digests of their secrets; belongs to one event loop."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reading = asyncio.Lock()
        self._noting = threading.Lock()
        self._known: KnownTokens | None = None
        self._read_at = self._tried_at = float("-inf")
        self._used = set[int]()
        self._logins = OrderedDict[str, tuple[float, KnownLogin | None]]()

    async def is_any(self) -> bool:
        """Whether there was ever a token: from then on everyone needs one. Raises StorageError."""
        if self._known is not None and self._known.is_any:
            return True  # tokens are revoked, and never removed
        return (await self._fresh(FRESH_SECONDS)).is_any

    async def find(self, secret: str) -> Caller | None:
        """Whose secret it is; None if it lets nobody in. Raises StorageError."""
        return await self.find_digest(tokens.digest(secret))

    async def find_digest(self, digest: str) -> Caller | None:
        """The same by the secret's digest, which a login keeps. Raises StorageError."""
        asked = monotonic()
        known = await self._fresh(FRESH_SECONDS)
        if digest not in known.secrets:  # it may have been made a moment ago
            known = await self._since(asked)
        found = known.secrets.get(digest)
        if found is None or not found.is_good(self._now(known)):
            return None
        if found.token not in self._used:
            with self._noting:
                self._used.add(found.token)
        return found.caller

    async def prime(self) -> None:
        """Read the tokens before there is a request for them, if the database answers."""
        with suppress(StorageError):
            await self._fresh(FRESH_SECONDS)

    async def login(self, cookie: str) -> KnownLogin | None:
        """What a browser's cookie stands for. Raises StorageError."""
        digest, now = tokens.digest(cookie), monotonic()
        read_at, found = self._logins.get(digest, (float("-inf"), None))
        if now - read_at <= FRESH_SECONDS:
            return found
        found = await run_in_threadpool(logins.find, self._db, cookie)
        self._logins[digest] = now, found
        self._logins.move_to_end(digest)
        if len(self._logins) > _MOST_LOGINS:
            self._logins.popitem(last=False)
        return found

    def log_out(self, cookie: str) -> None:
        """Let nobody in with a browser's cookie any more, here at once. Raises StorageError."""
        logins.end(self._db, cookie)
        self._logins.pop(tokens.digest(cookie), None)

    def forget(self) -> None:
        """Let the next request read the tokens, which this process has changed."""
        self._tried_at = float("-inf")

    def note(self) -> int:
        """Write which tokens were used since the last time; for a thread beside the requests.

        Raises:
            StorageError: the database does not answer.
        """
        with self._noting:
            used, self._used = self._used, set()
        if used:
            tokens.note_used(self._db, dict.fromkeys(used, self._db.now()))
        return 0

    async def _fresh(self, seconds: float) -> KnownTokens:
        """What is known, read anew if it is older than that."""
        known = self._known
        if known is not None and monotonic() - self._tried_at <= seconds:
            return known
        async with self._reading:
            if self._known is None or monotonic() - self._tried_at > seconds:
                await self._read()
            assert self._known is not None  # or reading has raised
            return self._known

    async def _since(self, asked: float) -> KnownTokens:
        """What is known, by a read that began later than that: guesses wait, and share it."""
        async with self._reading:
            if self._tried_at <= asked:
                pause = _GUESS_SECONDS - (monotonic() - self._tried_at)
                if pause > 0:
                    await asyncio.sleep(pause)
                await self._read()
            assert self._known is not None  # or reading has raised
            return self._known

    async def _read(self) -> None:
        begun = monotonic()
        try:
            self._known = await run_in_threadpool(tokens.known, self._db)
            self._read_at = begun
        except StorageError:
            if begun - self._read_at > _STALE_SECONDS:
                raise
            logger.warning("the tokens cannot be read; those known are good for a minute")
        self._tried_at = begun

    def _now(self, known: KnownTokens) -> datetime:
        """The database's time, carried on by our steady clock."""
        return known.now + timedelta(seconds=monotonic() - self._read_at)
