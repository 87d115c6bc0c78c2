"""A Slurm cluster of one node for a test: the programs that a site runs, on free ports."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from getpass import getuser
from pathlib import Path

import psutil
import pytest

from tests.missing import unavailable

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
_PATIENCE = 30.0

# Two CPUs, whatever the machine has, and nothing that needs a cgroup, a database or a mail.
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
KillWait=2
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=60
"""


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cluster that answers; gives its folder. Without Slurm the test skips, in CI it fails."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
        packages = "slurmctld slurmd slurm-client munge"
        unavailable(f"no Slurm ({', '.join(missing)}): apt-get install {packages}")
    folder = Path(tempfile.mkdtemp(prefix="segtune-slurm-"))  # short: there is a socket in it
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    try:
        with _cluster(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _cluster(folder: Path) -> Iterator[None]:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    controller, node = _free_ports()
    (folder / "slurm.conf").write_text(
        _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            user=getuser(),
            folder=folder,
            controller=controller,
            node=node,
        )
    )
    (folder / "key").write_bytes(os.urandom(64))
    (folder / "key").chmod(0o400)
    munge = {"socket": "munge.sock", "key-file": "key", "log-file": "munged.log"}
    munge |= {"pid-file": "munged.pid", "seed-file": "seed"}
    options = [f"--{option}={folder / name}" for option, name in munge.items()]
    with ExitStack() as stack:
        stack.callback(_kill_the_rest, folder)
        # A folder in /tmp, and no syslog.
        stack.enter_context(_running(folder, "munged", "--force", "--foreground", *options))
        _until(folder, (folder / "munge.sock").exists)
        stack.enter_context(_running(folder, "slurmctld", "-D"))
        stack.enter_context(_running(folder, "slurmd", "-D", "-N", "node"))
        _until(folder, lambda: "idle" in _answer("sinfo", "--noheader", "--format=%T"))
        yield
        _answer("scancel", "--me")


@contextmanager
def _running(folder: Path, *command: str) -> Iterator[None]:
    """A program in the foreground, which ends with this process however that ends."""
    with (folder / f"{command[0]}.out").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _kill_the_rest(folder: Path) -> None:
    """Kill what still runs of the cluster's jobs, which are children of no process of ours."""
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("SLURM_CONF") == str(folder / "slurm.conf")
            if is_ours and process.pid != os.getpid():
                process.kill()
        except psutil.Error:
            continue


def _until(folder: Path, happens: Callable[[], bool]) -> None:
    """Wait until something is so; what the programs said is the reason if it does not come."""
    tick, deadline = threading.Event(), time.monotonic() + _PATIENCE
    while not happens():
        if time.monotonic() > deadline:
            said = "\n".join(
                log.read_text(errors="replace")[-2000:] for log in folder.glob("*.out")
            )
            pytest.fail(f"Slurm does not start here:\n{said}")
        tick.wait(0.05)


def _answer(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    return done.stdout


def _free_ports() -> Sequence[int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in (one, other)]
