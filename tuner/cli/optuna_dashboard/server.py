"""A WSGI server of the standard library with a thread for each request."""

import errno
import socket
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tuner.errors import Conflict, InvalidInput, Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # Ctrl-C waits for no open connection
    request_queue_size = 64

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name, which can take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # never a Unix socket
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # its name there
        """Say nothing: the page asks every few seconds."""


def listen(app: "WSGIApplication", host: str, port: int) -> WSGIServer:
    """A server of that application, bound but not serving yet.

    Raises:
        Conflict: the port is taken.
        InvalidInput: this machine cannot listen there.
    """
    kind = _Server6 if ":" in host else _Server
    try:
        server = kind((host.strip("[]"), port), _Quiet)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} on {host} is taken; choose another with --port, 0 for any free"
            raise Conflict(message) from None
        remedy = (
            "a port from 1024 on" if error.errno == errno.EACCES else "an address of this machine"
        )
        message = f"cannot listen on {host}:{port}: {error.strerror or error}; give {remedy}"
        raise InvalidInput([Problem(("--host",), message)]) from None
    server.set_app(app)
    return server
