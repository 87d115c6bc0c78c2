"""Run the server until it is told to stop."""

import errno
import logging
import socket
from collections.abc import Callable

import uvicorn

from api.app import close_waits, create_app
from api.memory import freeze_start
from api.settings import Settings
from api.startup import prepare
from tuner import logs
from tuner.errors import InvalidInput, Problem
from tuner.spec.address import local_address

logger = logging.getLogger(__name__)
# Longer than a worker's pause between two heartbeats, so that it keeps its connection.
_KEEP_ALIVE_SECONDS = 90
_SHUTDOWN_SECONDS = 10
_REMEDIES = {
    errno.EADDRINUSE: "stop what listens there, or choose another port (0: any free one)",
    errno.EACCES: "choose a port from 1024 on, or 0 for any free one",
}


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the server's URL once it answers.

    Raises:
        InvalidInput: the address is taken, or could be reached by others without a token.
        StorageError: the database cannot be opened or migrated.
    """
    logs.configure(settings.log_level, settings.log_format)
    prepare(settings)
    with listen(settings) as listener:
        Server(settings, listener, ready=ready, with_reader=True).run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn, which says when it is ready and sends waiting callers home when it stops."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        *,
        ready: Callable[[str], None] | None = None,
        with_reader: bool = False,
    ) -> None:
        self._app = create_app(settings, with_reader=with_reader)
        self._url = local_address(settings.host, listener.getsockname()[1])
        self._tell = ready
        config = uvicorn.Config(
            self._app,
            log_config=None,
            log_level=settings.log_level,
            access_log=settings.log_level == "debug",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            server_header=False,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the app state and answer."""
        await super().startup(sockets)
        if self.started:
            freeze_start()
            logger.info("serving at %s", self._url)
            if self._tell is not None:
                self._tell(self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End long waits, then connections."""
        close_waits(self._app)
        await super().shutdown(sockets)


def listen(settings: Settings) -> socket.socket:
    """A socket bound to the settings' address. Raises InvalidInput where that cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listener.close()
        remedy = _REMEDIES.get(error.errno or 0, "give an address of this machine")
        setting = "SEGTUNE_PORT" if error.errno in _REMEDIES else "SEGTUNE_HOST"
        message = f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; {remedy}"
        raise InvalidInput([Problem((setting,), message)]) from error
    return listener
