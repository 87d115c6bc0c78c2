"""One request to a webhook's address, which must not be one that only this machine should ask.

The name is looked up once, what it means is checked, and just that address is connected to, so
that a name cannot mean one thing when it is checked and another when it is used. No redirect is
followed.
"""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx
import urllib3

from api.webhooks.hooks import Hook
from tuner.transport import pool_for, proxy_for

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
_TIMEOUT = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
# Where clouds answer to a machine itself, and tell it its passwords.
_METADATA = tuple(
    ipaddress.ip_network(each)
    for each in (
        "169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "192.0.0.192/32",
        "168.63.129.16/32",
    )
)  # fmt: skip
_AGAIN = frozenset({408, 409, 425, 429})


class Posted(NamedTuple):
    """What came of a request; `is_final`: the same request will not be taken later either."""

    is_taken: bool
    reason: str = ""
    is_final: bool = False
    wait: float = 0.0  # seconds that the receiver asks to be left alone


def post(hook: Hook, content: bytes, headers: Mapping[str, str]) -> Posted:
    """Send it once."""
    url = hook.url.get_secret_value()
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(hook.host, port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
    except (OSError, UnicodeError) as error:
        if proxy_for(url) is None:
            return Posted(False, f"the name {hook.host} is not known: {error}")
        addresses = []
    if not hook.allow_metadata and (wrong := metadata_among(addresses)):
        return Posted(False, f"{wrong} is a metadata address; allow_metadata lets it be asked")
    try:
        return _request(url, addresses, port, content, headers)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        return Posted(False, type(error).__name__)  # its text has the address, and so a secret


def metadata_among(addresses: Sequence[str]) -> str | None:
    """The first of the addresses at which a machine asks for its own secrets."""
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        plain = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        address = plain or address
        if address.is_multicast or address.is_unspecified or _is_listed(address):
            return text
    return None


def _is_listed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in each for each in _METADATA)


def _request(
    url: str, addresses: Sequence[str], port: int, content: bytes, headers: Mapping[str, str]
) -> Posted:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    options: dict[str, Any] = {"body": content, "redirect": False, "retries": False}
    # What it has to say is not read: it may be without an end.
    options |= {"timeout": _TIMEOUT, "preload_content": False}
    given = {**headers, "Host": parts.netloc.rpartition("@")[2]}
    if "@" in parts.netloc or proxy_for(url) is not None:
        through = pool_for(f"{parts.scheme}://{parts.netloc}")
        given |= through.headers
        if proxy_for(url) is not None:
            with closing(
                through.pool.request("POST", f"{through.base}{path}", headers=given, **options)
            ) as response:
                return _answer(response)
    for place, address in enumerate(addresses, start=1):
        try:
            with (
                _pool(parts, address, port) as pool,
                closing(pool.request("POST", path, headers=given, **options)) as response,
            ):
                return _answer(response)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
            if place == len(addresses):
                raise
    raise OSError(f"{parts.hostname} has no address")


def _pool(parts: SplitResult, address: str, port: int) -> urllib3.HTTPConnectionPool:
    """Connections to an address, which must prove the host's name where it speaks TLS."""
    if parts.scheme == "http":
        return urllib3.HTTPConnectionPool(address, port)
    return urllib3.HTTPSConnectionPool(
        address,
        port,
        ssl_context=httpx.create_ssl_context(),
        server_hostname=parts.hostname,
        assert_hostname=parts.hostname,
    )


def _answer(response: urllib3.BaseHTTPResponse) -> Posted:
    status = response.status
    if 200 <= status < 300:
        return Posted(True)
    asked = response.headers.get("Retry-After", "")
    wait = float(asked) if asked.isdecimal() and len(asked) < 6 else 0.0
    is_final = 400 <= status < 500 and status not in _AGAIN
    return Posted(False, f"it answered {status}", is_final, wait)
