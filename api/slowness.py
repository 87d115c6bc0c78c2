"""Bodies that do not come: a caller who sends a byte and waits is not waited for without end."""

import asyncio
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import TooSlow

SECONDS = 30.0  # that a body may stand still
RATE = 8192  # bytes that earn a second of them again


class BodyTimeout:
    """Ends requests whose body stands still: only waiting for the caller counts, not our work."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a body that raises TooSlow."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        left, is_whole = SECONDS, False

        async def timed() -> Message:
            nonlocal left, is_whole
            if is_whole:  # what comes now is that the caller has gone
                return await receive()
            begun = monotonic()
            try:
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError:
                raise TooSlow(
                    f"the body stood still for {SECONDS:g} s, or came in less than {RATE} bytes "
                    "a second; send it again, over a faster line"
                ) from None
            earned = len(message.get("body", b"")) / RATE
            left = min(left - (monotonic() - begun) + earned, SECONDS)
            is_whole = not message.get("more_body", False)
            return message

        return await self._app(scope, timed, send)
