"""A little reverse proxy on loopback that serves another server below a path."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PREFIX = "/tune"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HOP = {"connection", "transfer-encoding", "keep-alive", "host"}


@dataclass(frozen=True)
class Manner:
    """What a proxy does with the path, and what it says of it."""

    strips: bool = True
    tells: bool = False  # X-Forwarded-Prefix
    keeps_host: bool = True


@contextmanager
def proxied(upstream: str, manner: Manner) -> Iterator[str]:
    """URL below which the upstream server is reached; any other path of the proxy is a 404."""
    facts = {"upstream": urlsplit(upstream).netloc, "manner": manner}
    methods = {f"do_{name}": _Handler.forward for name in _METHODS}
    handler = type("Handler", (_Handler,), {**facts, **methods})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    upstream: str
    manner: Manner

    def forward(self) -> None:
        """Ask the server behind, and pass on what it says as it comes."""
        below = urlsplit(self.path).path
        if below != PREFIX and not below.startswith(f"{PREFIX}/"):
            self.send_error(404, "not below the prefix")
            return
        path = (self.path[len(PREFIX) :] or "/") if self.manner.strips else self.path
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        headers["Host"] = self.headers["Host"] if self.manner.keeps_host else self.upstream
        if self.manner.tells:
            headers["X-Forwarded-Prefix"] = PREFIX
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = HTTPConnection(self.upstream, timeout=30)
        try:
            connection.request(self.command, path, body or None, headers)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.end_headers()
            while chunk := answer.read1(65_536):
                self.wfile.write(chunk)
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller of an event stream has heard enough
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
