"""Run the server until it is told to stop."""

import errno
import logging
import os
import signal
import socket
import threading
import time
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
_LOOK_SECONDS = 0.5
_FILES = 65_536
_REMEDIES = {
    errno.EADDRINUSE: "stop what listens there, or choose another port (0: any free one)",
    errno.EACCES: "choose a port from 1024 on, or 0 for any free one",
}


def serve(
    settings: Settings,
    *,
    ready: Callable[[str], None] | None = None,
    parent: int | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the server's URL once it answers.

    Args:
        parent: the process that runs this one beside others of the same port; it ends with it.

    Raises:
        InvalidInput: the address is taken, or could be reached by others without a token.
        StorageError: the database cannot be opened or migrated.
    """
    logs.configure(settings.log_level, settings.log_format)
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    allow_connections()
    prepare(settings)
    with listen(settings, is_shared=parent is not None) as listener:
        server = Server(settings, listener, ready=ready, with_reader=True, is_prepared=True)
        server.run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn, which says when it is ready and sends waiting callers home when it stops."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        *,
        ready: Callable[[str], None] | None = None,
        with_reader: bool = False,
        is_prepared: bool = False,
    ) -> None:
        self._app = create_app(settings, with_reader=with_reader, is_prepared=is_prepared)
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


def reserve(settings: Settings) -> socket.socket:
    """Hold an address for several processes of ours, without listening there.

    Raises:
        InvalidInput: the address cannot be had, or somebody listens there already.
    """
    with listen(settings) as free:  # a shared one would share with whoever is there
        port: int = free.getsockname()[1]
    return listen(settings.model_copy(update={"port": port}), is_shared=True)


def _end_with(parent: int) -> None:
    """End as asked to, once the process that started this one is gone."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    logger.warning("process %d that started this one has ended; so does this one", parent)
    os.kill(os.getpid(), signal.SIGTERM)


def allow_connections() -> None:
    """Let this process open as many files as it may, within reason.

    Every worker and every open page keeps a connection, and most systems stop at 1,024 unless a
    process asks for more.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(settings: Settings, *, is_shared: bool = False) -> socket.socket:
    """A socket bound to the settings' address; a shared one lets others of this user bind it too.

    Each process has a socket of its own, over which the kernel spreads connections evenly: of one
    that all share, whichever process wakes first takes every connection that waits.

    Raises:
        InvalidInput: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listener.close()
        remedy = _REMEDIES.get(error.errno or 0, "give an address of this machine")
        setting = "SEGTUNE_PORT" if error.errno in _REMEDIES else "SEGTUNE_HOST"
        message = f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; {remedy}"
        raise InvalidInput([Problem((setting,), message)]) from error
    return listener
