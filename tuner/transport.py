"""How every HTTP client of ours reaches a server: the one rule for proxies.

Loopback and the hosts that NO_PROXY names are asked directly; everything else goes through
HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, where they are set.
"""

import ipaddress
import os
import urllib.request
from base64 import b64encode
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

import httpx
import urllib3

from tuner.errors import InvalidInput, Problem

_CONNECTIONS = 4  # to one server, for its busiest callers


def transport_to(url: str, *, retries: int = 0) -> httpx.HTTPTransport:
    """The transport to one server; `retries` repeats connections that were not made.

    Raises:
        InvalidInput: the proxy of the environment cannot be used.
    """
    proxy = proxy_for(url)
    try:
        if proxy is not None:
            _require_host(proxy)
        return httpx.HTTPTransport(proxy=proxy, retries=retries)
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise _unusable(proxy, url, error) from error


class ServerPool(NamedTuple):
    """Connections that are kept to one server, and what each request to it needs."""

    pool: urllib3.HTTPConnectionPool | urllib3.ProxyManager
    base: str  # what the URLs begin with that the pool is asked for
    headers: dict[str, str]


def pool_for(url: str) -> ServerPool:
    """Kept connections to one server: a worker asks with each step that it trains.

    Certificates are those that httpx trusts, so that workers and commands trust the same.

    Raises:
        InvalidInput: the proxy of the environment cannot be used.
    """
    parts, proxy = urlsplit(url), proxy_for(url)
    user, _, place = parts.netloc.rpartition("@")
    headers = {"Authorization": f"Basic {_basic(user)}"} if user else {}
    plain = parts._replace(netloc=place).geturl().rstrip("/")
    if proxy is None:
        tls = {"ssl_context": httpx.create_ssl_context()} if parts.scheme == "https" else {}
        pool = urllib3.connection_from_url(plain, maxsize=_CONNECTIONS, **tls)
        return ServerPool(pool, parts.path.rstrip("/"), headers)
    try:
        return ServerPool(_proxied(proxy), plain, headers)
    except (ValueError, urllib3.exceptions.HTTPError) as error:
        raise _unusable(proxy, url, error) from error


def _require_host(proxy: str) -> None:
    if not urlsplit(proxy).hostname:
        raise ValueError("it names no host")


def _basic(user: str) -> str:
    """Name and password of a URL, as RFC 7617 sends them."""
    return b64encode(unquote(user).encode()).decode()


def _proxied(proxy: str) -> urllib3.ProxyManager:
    _require_host(proxy)
    parts = urlsplit(proxy)
    user, _, place = parts.netloc.rpartition("@")
    return urllib3.ProxyManager(
        parts._replace(netloc=place).geturl(),
        maxsize=_CONNECTIONS,
        proxy_headers=urllib3.make_headers(proxy_basic_auth=unquote(user)) if user else None,
        ssl_context=httpx.create_ssl_context(),
        proxy_ssl_context=httpx.create_ssl_context(),
    )


def _unusable(proxy: str | None, url: str, error: Exception) -> InvalidInput:
    message = f"the proxy '{proxy}' for {url} cannot be used: {error}; set NO_PROXY for its host"
    return InvalidInput([Problem((_variable(url),), message)])


def proxy_for(url: str) -> str | None:
    """The address of the proxy that stands before a server, or None."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies_environment()
    if is_loopback(host) or _is_excepted(host, parts.netloc.rpartition("@")[2], proxies):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address; `0.0.0.0` and `::` connect to it."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(name)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return bool(mapped.is_loopback or mapped.is_unspecified)
    return False


def except_from_proxies(host: str) -> None:
    """Ask this host directly from now on, here and in the processes that are started from here."""
    if proxy_for(f"http://{host}") is None:
        return
    for name in ("NO_PROXY", "no_proxy"):
        listed = [part for part in os.environ.get(name, "").split(",") if part.strip()]
        if name == "NO_PROXY" or listed:
            os.environ[name] = ",".join([*listed, host])


def _is_excepted(host: str, place: str, proxies: dict[str, str]) -> bool:
    """Whether NO_PROXY names the host: by name, by a domain that it is in, or by a network."""
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it
    if bypass(place, proxies) or bypass(host, proxies):
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return any(address in network for network in _networks(proxies.get("no", "")))
    return False


def _networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    networks = []
    for part in text.split(","):
        with suppress(ValueError):
            networks.append(ipaddress.ip_network(part.strip().strip("[]"), strict=False))
    return networks


def _variable(url: str) -> str:
    return f"{urlsplit(url).scheme.upper()}_PROXY"
