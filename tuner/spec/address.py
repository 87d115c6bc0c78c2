"""The address of a server, as clients and workers are given it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from tuner.errors import InvalidInput, Problem

_EXAMPLE = "http://127.0.0.1:8000"


def server_address(text: str) -> str:
    """The address without a slash at its end. Raises ValueError where it cannot be one.

    A path in it is the prefix under which a reverse proxy serves: `https://host/tune`.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"'{text}' is not an address: {error}; write it like {_EXAMPLE}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f"'{text}' is not an address of a server; write it like {_EXAMPLE}")
    if parts.query or parts.fragment:
        raise ValueError(f"'{text}' has more than an address; write it like {_EXAMPLE}")
    if not text.isprintable() or any(sign.isspace() for sign in text):
        raise ValueError(f"'{text}' holds blanks; write it like {_EXAMPLE}")
    return text.rstrip("/")


def local_address(host: str, port: int) -> str:
    """The address under which processes of this machine reach a server that listens on a host."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # not bound
    if ":" in reachable and not reachable.startswith("["):
        reachable = f"[{reachable}]"
    return f"http://{reachable}:{port}"


def checked(server: str) -> str:
    """The same, for callers of ours. Raises InvalidInput."""
    try:
        return server_address(server)
    except ValueError as error:
        raise InvalidInput([Problem(("server",), str(error))]) from None


ServerAddress = Annotated[str, AfterValidator(server_address)]
