"""One rule for proxies, whoever asks: loopback and NO_PROXY directly, all else by the proxy."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPSConnectionPool

from tuner.cli.processes import start_server
from tuner.cli.supervisor import Command, Supervisor
from tuner.client import Client
from tuner.errors import InvalidInput, SegtuneError
from tuner.transport import except_from_proxies, is_loopback, pool_for, proxy_for, transport_to
from workers.client import ServerClient

AWAY = "http://segtune.example:8000"


class Listener(ThreadingHTTPServer):
    """A server on loopback, or a proxy: it answers everything, and remembers what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def _any(self) -> None:
        self.server.asked.append(self.path)
        self.server.authorizations.append(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    do_GET = do_PUT = _any  # noqa: N815  # the names that http.server asks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listen() -> Iterator[Callable[[], Listener]]:
    """Start listeners that end with the test."""
    started: list[Listener] = []

    def start() -> Listener:
        listener = Listener()
        started.append(listener)
        threading.Thread(target=lambda: listener.serve_forever(0.02), daemon=True).start()
        return listener

    yield start
    for listener in started:
        listener.shutdown()
        listener.server_close()


@pytest.fixture(autouse=True)
def _nobodys_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy(listen: Callable[[], Listener], monkeypatch: pytest.MonkeyPatch) -> Listener:
    """A proxy, as HTTP_PROXY names it."""
    found = listen()
    monkeypatch.setenv("HTTP_PROXY", found.address)
    monkeypatch.setenv("http_proxy", found.address)
    return found


def ask_as_user(url: str, folder: Path) -> None:
    """The Python client, which the commands use."""
    with Client(url) as client:
        client.workers()


def ask_as_worker(url: str, folder: Path) -> None:
    """The worker's client."""
    with closing(ServerClient(url)) as client, pytest.raises(SegtuneError):
        client.renew("lease", "token")  # the answer is no status of a lease


def ask_as_up(url: str, folder: Path) -> None:
    """`segtune up`, which waits for its server."""
    with Supervisor().running() as running:
        start_server(running, Command("server", ("version",), log=folder / "log"), url)


CLIENTS = pytest.mark.parametrize("ask", [ask_as_user, ask_as_worker, ask_as_up])


@CLIENTS
def test_loopback_is_asked_directly(
    ask: Callable[[str, Path], None],
    listen: Callable[[], Listener],
    proxy: Listener,
    tmp_path: Path,
) -> None:
    """A server of this machine is found whatever proxy the machine has."""
    server = listen()
    ask(server.address, tmp_path)
    assert (len(server.asked), proxy.asked) == (1, [])


@CLIENTS
def test_another_host_is_asked_through_the_proxy(
    ask: Callable[[str, Path], None], proxy: Listener, tmp_path: Path
) -> None:
    """The proxy gets the whole address of what is asked for."""
    ask(AWAY, tmp_path)
    assert [path.startswith(f"{AWAY}/") for path in proxy.asked] == [True]


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("segtune.example", AWAY),
        (".example", AWAY),
        ("other.org, example", AWAY),
        ("segtune.example:8000", AWAY),
        ("*", AWAY),
        ("10.1.2.3", "http://10.1.2.3:8000"),
        ("10.0.0.0/8", "http://10.1.2.3:8000"),
        ("fd00::/8", "http://[fd00::7]:8000"),
    ],
)
def test_no_proxy_names_hosts_to_ask_directly(
    proxy: Listener, monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str
) -> None:
    """By name, domain, port, address or network, as other programs read it."""
    assert proxy_for(url) == proxy.address
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(url) is None


def test_each_scheme_has_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is for https, ALL_PROXY for what has none; the proxy's scheme is optional."""
    monkeypatch.setenv("HTTPS_PROXY", "secure:3128")
    assert proxy_for("https://segtune.example") == "http://secure:3128"
    assert proxy_for(AWAY) is None
    monkeypatch.setenv("ALL_PROXY", "http://any:3128")
    assert proxy_for(AWAY) == "http://any:3128"


@pytest.mark.parametrize("proxy_address", ["gopher://proxy:1", "http://proxy:port", "http://"])
def test_a_proxy_that_is_none_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, proxy_address: str
) -> None:
    """The message names the variable, the value and the way out."""
    monkeypatch.setenv("HTTP_PROXY", proxy_address)
    with pytest.raises(InvalidInput, match=r"HTTP_PROXY: the proxy .*NO_PROXY"):
        transport_to(AWAY)
    with pytest.raises(InvalidInput, match=r"HTTP_PROXY: the proxy .*NO_PROXY"):
        pool_for(AWAY)


@given(st.ip_addresses(network="127.0.0.0/8"))
def test_every_address_of_loopback_is_loopback(address: object) -> None:
    """Whole 127.0.0.0/8, also as it is written in IPv6."""
    assert is_loopback(str(address))
    assert is_loopback(f"[::ffff:{address}]")


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST.", "a.localhost", "::1", "0.0.0.0"]
)  # not bound
def test_names_of_loopback(name: str) -> None:
    """Names and addresses that always lead to this machine."""
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["localhost.example", "10.0.0.1", "127.0.0.1.example", ""])
def test_names_that_only_look_like_loopback(name: str) -> None:
    """They are other machines, and follow the proxy."""
    assert not is_loopback(name)


def test_the_host_of_up_is_asked_directly(proxy: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """`segtune up --host` serves from this machine: neither it nor its workers ask a proxy."""
    monkeypatch.setenv("no_proxy", "other.example")
    monkeypatch.setenv("NO_PROXY", "other.example")
    except_from_proxies("10.1.2.3")
    assert proxy_for("http://10.1.2.3:8000") is None
    assert proxy_for("http://other.example") is None
    assert proxy_for(AWAY) == proxy.address


def test_a_worker_sends_the_name_and_password_of_its_servers_url(
    listen: Callable[[], Listener],
) -> None:
    """As commands do, for a server behind a gateway; the server's own token comes first."""
    server = listen()
    named = server.address.replace("http://", "http://ada:a%40b@")
    for token in (None, "secret"):
        with closing(ServerClient(named, token)) as client, pytest.raises(SegtuneError):
            client.renew("lease", "token")
    assert server.authorizations == ["Basic YWRhOmFAYg==", "Bearer secret"]


def test_workers_trust_the_certificates_that_commands_trust() -> None:
    """A slim image has no store of its own; httpx brings one."""
    pool = pool_for("https://segtune.example").pool
    context = pool.conn_kw["ssl_context"] if isinstance(pool, HTTPSConnectionPool) else None
    assert isinstance(context, ssl.SSLContext)
    assert context.cert_store_stats() == httpx.create_ssl_context().cert_store_stats()
