"""A server and its workers as child processes of one command."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tuner.cli.supervisor import SERVICE, Command, Supervisor
from tuner.errors import Conflict, ServerError

if TYPE_CHECKING:
    from api.settings import Settings

_READY_SECONDS = 60.0


def refuse_taken_port(host: str, port: int) -> None:
    """Raise Conflict if something listens there already."""
    if not is_free(host, port):
        raise Conflict(
            f"port {port} on {host} is taken; end what listens there or choose another with --port"
        )


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str, wanted: int) -> int:
    """The wanted port if it is free, else one that the system gives."""
    if is_free(host, wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def devices(wanted: str | None, workers: int | None) -> tuple[str, ...]:
    """One device per worker: as many as asked for, spread over the devices, else one on each."""
    found: tuple[str, ...] = (wanted or "auto",)
    if found == ("auto",):
        from workers.devices import choose, gpus

        visible = gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
        names = tuple(f"cuda:{index}" for index in range(len(visible)))
        found = names or (choose("auto", (), is_free=lambda device: True).kind,)
    count = len(found) if workers is None else workers
    return tuple(found[index % len(found)] for index in range(count))


def server_command(
    host: str, port: int, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Command:
    """`segtune serve` as a child."""
    arguments = ("serve", "--host", host, "--port", str(port))
    return Command("server", arguments, environment=environment or {}, log=log, final=SERVICE)


def server_commands(settings: "Settings", counts: Path) -> tuple[Command, ...]:
    """`segtune serve` as one child for each of the settings' processes, all on one port.

    They are started again however they end: the settings have been found right. In the folder
    they keep what `/metrics` sums.
    """
    from api.metrics import SHARED_FOLDER

    environment = {
        SHARED_FOLDER: str(counts),
        "SEGTUNE_HOME": str(settings.home),
        "SEGTUNE_DATABASE_URL": settings.database_url,
        "SEGTUNE_ARTIFACTS": settings.artifact_place,
        "SEGTUNE_HOST": settings.host,
        "SEGTUNE_PORT": str(settings.port),
        "SEGTUNE_PROCESSES": str(settings.processes),
        "SEGTUNE_ROOT_PATH": settings.root_path,
        "SEGTUNE_LOG_FORMAT": settings.log_format,
    }
    arguments = ("serve", "--parent", str(os.getpid()))
    return tuple(
        Command(f"server {index + 1}", arguments, environment=environment, final=frozenset())
        for index in range(settings.processes)
    )


def worker_commands(
    server: str,
    devices: Sequence[str],
    data_roots: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> tuple[Command, ...]:
    """`segtune worker` as a child for each device; those on the CPU share its cores."""
    from workers.devices import cores, hostname

    shared = dict(environment or {})
    on_cpu = devices.count("cpu")
    if on_cpu > 1 and "SEGTUNE_THREADS" not in os.environ:
        shared.setdefault("SEGTUNE_THREADS", str(max(1, cores() // on_cpu)))
    roots = tuple(part for root in data_roots for part in ("--data-root", str(root)))
    host = hostname()
    return tuple(
        Command(
            f"worker {index + 1}",
            (
                *("worker", "--server", server, "--device", device),
                # A name that stays the same lets a restarted worker deliver what it had kept.
                *("--name", f"{host}-{device.replace(':', '')}-{index + 1}", *roots),
            ),
            stage=1,
            environment=shared,
            log=log,
            final=SERVICE,
        )
        for index, device in enumerate(devices)
    )


@contextmanager
def running() -> Iterator[Supervisor]:
    """A supervisor whose children end with the context.

    The first signal (Ctrl-C, SIGTERM, a closed terminal) raises KeyboardInterrupt; those that
    come while the children end kill what is left.
    """
    supervisor = Supervisor()
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            supervisor.kill_now()
            return
        asked.set()
        raise KeyboardInterrupt

    known = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), ask) for name in known}
    try:
        with supervisor.running():
            yield supervisor
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def wait_for(host: str, port: int) -> None:
    """Return once something listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family) as probe, suppress(OSError):
            probe.connect((host.strip("[]"), port))
            return
        time.sleep(0.1)


def start_server(supervisor: Supervisor, command: Command, url: str) -> None:
    """Start the server and wait until it answers.

    Raises:
        ServerError: it ended, or did not answer in time.
    """
    import httpx

    from tuner.transport import transport_to

    supervisor.start(command)
    seen = f"; see {command.log}" if command.log else ""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        with (
            suppress(httpx.HTTPError),
            httpx.Client(transport=transport_to(url), timeout=5) as client,
        ):
            if client.get(f"{url}/health/ready").is_success:
                supervisor.prove(command.name)
                return
        if (code := supervisor.ended(command.name)) is not None:
            raise ServerError(f"the server ended with exit code {code}{seen}")
        if time.monotonic() > deadline:
            raise ServerError(f"the server did not answer within {_READY_SECONDS:.0f} s{seen}")
        time.sleep(0.1)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """A flag that the first SIGINT or SIGTERM sets; the second one does what it always does."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        stop.set()

    for each in before:
        signal.signal(each, ask)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
