"""What the Slurm driver asks of Slurm's programs, and what it makes of their answers."""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.house.tree import text
from tuner.errors import EngineError, InvalidInput
from workers.fleet import contract, loop
from workers.fleet.contract import FleetDriver, FleetMember
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

# Each program notes how it was called, and answers what the test has put down for it.
_FAKE = """\
#!{python} -IS
import json, os, sys, pathlib
folder, name = pathlib.Path({folder!r}), pathlib.Path(sys.argv[0]).name
call = {{"arguments": sys.argv[1:], "script": sys.stdin.read(), "environment": dict(os.environ)}}
with open(folder / f"{{name}}.calls", "a") as calls:
    print(json.dumps(call), file=calls)
refusal = folder / f"{{name}}.refuses"
if refusal.exists():
    sys.exit(refusal.read_text())
answer = folder / f"{{name}}.answers"
print(answer.read_text() if answer.exists() else "")
"""
Build = Callable[..., FleetDriver]


class FakeSlurm:
    """Slurm's programs, in a folder of the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sbatch", "squeue", "scancel"):
            (folder / name).write_text(_FAKE.format(python=sys.executable, folder=str(folder)))
            (folder / name).chmod(0o755)

    def has(self, *jobs: str) -> None:
        """Let squeue tell of these: array|index|state|reason."""
        (self.folder / "squeue.answers").write_text("\n".join(jobs))

    def refuses(self, program: str, message: str) -> None:
        """Let a program end with that message."""
        (self.folder / f"{program}.refuses").write_text(message)

    def calls(self, program: str) -> Sequence[Mapping[str, Any]]:
        """How a program was called, the last time last."""
        file = self.folder / f"{program}.calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else ()

    def cancelled(self) -> Sequence[Sequence[str]]:
        """What scancel was called with."""
        return [call["arguments"] for call in self.calls("scancel")]


@pytest.fixture
def slurm_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """Programs that answer what a test tells them to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    return FakeSlurm(folder)


@pytest.fixture
def build(slurm_programs: FakeSlurm, tmp_path: Path) -> Build:
    """Make a driver from settings of the fleet."""

    def built(script: str | None = None, **values: Any) -> FleetDriver:
        if script is not None:
            values["script"] = tmp_path / "mine.sh"
            values["script"].write_text(script)
        worker = WorkerSettings(home=tmp_path / "home", server="http://tune:8000", token="secret")
        return contract.load(FleetSettings(driver="slurm", name="f", **values), worker)

    return built


@pytest.mark.parametrize(
    ("jobs", "members"),
    [
        ([], []),
        (["7|1|PENDING|Resources"], [FleetMember("f-1", is_pending=True)]),
        (["7|1|RUNNING|None"], [FleetMember("f-1")]),
        (["7|1|CONFIGURING|None"], [FleetMember("f-1")]),
        (["7|1|COMPLETING|None"], [FleetMember("f-1")]),
        (["7|1|SUSPENDED|None"], [FleetMember("f-1")]),
        (["7|1|A_STATE_OF_A_LATER_RELEASE|None"], [FleetMember("f-1")]),
        (["7|1|REQUEUED|None"], [FleetMember("f-1", is_pending=True)]),
        (["7|1|REQUEUE_HOLD|None"], [FleetMember("f-1", is_pending=True)]),
        (["7|1|COMPLETED|None"], []),
        (["7|1|FAILED|NonZeroExitCode"], []),
        (["7|1|NODE_FAIL|None"], []),
        (["7|1|PREEMPTED|None"], []),
        (["7|1|TIMEOUT|TimeLimit"], []),
        (["7|1|OUT_OF_MEMORY|OutOfMemory"], []),
        (["7|1|CANCELLED|None"], []),
        (["7|1|NODE_FAIL|None", "9|1|RUNNING|None"], [FleetMember("f-1")]),
        (["7|1|PENDING|Priority", "9|1|RUNNING|None"], [FleetMember("f-1")]),
        (["CLUSTER: a", "7|2|RUNNING|a|b", "8|N/A|RUNNING|None"], [FleetMember("f-2")]),
    ],
)
def test_a_worker_is_a_job_that_has_not_ended(
    build: Build, slurm_programs: FakeSlurm, jobs: Sequence[str], members: Sequence[FleetMember]
) -> None:
    """One that waits counts, and one that is requeued is the same, so that neither is doubled."""
    slurm_programs.has(*jobs)
    driver = build()
    assert list(driver.list()) == members
    for member in members:
        driver.start(member.name)
    assert not slurm_programs.calls("sbatch")


def test_only_its_own_jobs_are_asked_for(build: Build, slurm_programs: FakeSlurm) -> None:
    """By name and user, whatever the user has set for the programs."""
    build().list()
    (call,) = slurm_programs.calls("squeue")
    assert {"--me", "--array", "--states=all", "--name=segtune-f"} <= set(call["arguments"])


def test_a_worker_is_an_array_of_one(
    build: Build, slurm_programs: FakeSlurm, tmp_path: Path
) -> None:
    """With the script that ships, what it takes, and never requeued; the token is no argument."""
    build(gpus=2, cpus=3.5).start("f-12")
    (call,) = slurm_programs.calls("sbatch")
    logs = tmp_path / "home" / "fleet" / "f"
    assert call["arguments"] == [
        "--job-name=segtune-f",
        "--array=12",
        "--no-requeue",
        "--export=ALL",
        "--signal=B:TERM@120",
        "--cpus-per-task=4",
        "--gres=gpu:2",
        f"--output={logs}/f-%a.log",
        "--open-mode=append",
    ]
    assert logs.is_dir()
    assert call["script"] == text("workers/fleet/slurm.sh")
    assert {
        "SEGTUNE_SERVER": "http://tune:8000",
        "SEGTUNE_TOKEN": "secret",
        "SEGTUNE_HOME": str(tmp_path / "home"),
        "SEGTUNE_FLEET_NAME": "f",
        "SEGTUNE_PYTHON": sys.executable,
        "SEGTUNE_GPUS": "2",
    }.items() <= call["environment"].items()


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        ("#SBATCH --gres=gpu:a100:1", "--gres"),
        ("#SBATCH --time=1:00:00 --gpus-per-node=1", "--gres"),
        ("#SBATCH -G1", "--gres"),
        ("#SBATCH -c 8", "--cpus-per-task"),
        ("#SBATCH --cpus-per-task=8", "--cpus-per-task"),
        ("# words\n\n#SBATCH --signal=B:TERM@600", "--signal"),
        ("#SBATCH -o /dev/null", "--output"),
        ("true\n#SBATCH --gres=gpu:1", None),
        ("##SBATCH --gres=gpu:1", None),
        ("#SBATCH --account=a-c --comment=--gpus", None),
    ],
)
def test_what_a_script_says_the_fleet_does_not(
    build: Build, slurm_programs: FakeSlurm, lines: str, missing: str | None
) -> None:
    """An option would weigh more than the script's; lines after a command say nothing to Slurm."""
    every = {"--gres", "--cpus-per-task", "--signal", "--output"}
    build(f"#!/bin/sh\n{lines}\n").start("f-1")
    (call,) = slurm_programs.calls("sbatch")
    given = {argument.partition("=")[0] for argument in call["arguments"]}
    assert every - given == ({missing} if missing else set())


def test_what_the_environment_says_the_fleet_does_not(
    build: Build, slurm_programs: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that sbatch reads; those of a job around the fleet, and filters, are left out."""
    for name, value in {
        "SBATCH_GPUS_PER_NODE": "1",
        "SBATCH_PARTITION": "gpu",
        "SBATCH_WAIT": "1",
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_JOB_ID": "5",
        "SLURM_CPUS_PER_TASK": "64",
        "SQUEUE_STATES": "RUNNING",
        "CUDA_VISIBLE_DEVICES": "3",
    }.items():
        monkeypatch.setenv(name, value)
    build().start("f-1")
    (call,) = slurm_programs.calls("sbatch")
    assert not any(argument.startswith("--gres") for argument in call["arguments"])
    kept = {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_PARTITION": "gpu", "SBATCH_GPUS_PER_NODE": "1"}
    of_slurm = ("SLURM_", "SBATCH_", "SQUEUE_", "CUDA_VISIBLE")
    seen = {name: value for name, value in call["environment"].items() if name.startswith(of_slurm)}
    assert seen == kept


def test_a_worker_without_a_gpu_asks_for_none(build: Build, slurm_programs: FakeSlurm) -> None:
    """It trains on the CPU, though its node may have a GPU."""
    build(gpus=0).start("f-1")
    (call,) = slurm_programs.calls("sbatch")
    assert not any(argument.startswith("--gres") for argument in call["arguments"])
    assert call["environment"]["SEGTUNE_DEVICE"] == "cpu"


def test_a_drained_worker_saves_and_one_that_waits_is_taken_back(
    build: Build, slurm_programs: FakeSlurm
) -> None:
    """Only the batch shell gets the signal, which has become the worker: not its trainer."""
    jobs = ("7|1|RUNNING|None", "8|2|PENDING|Resources", "9|3|COMPLETING|None", "9|4|FAILED|None")
    slurm_programs.has(*jobs)
    driver = build()
    for number in range(1, 6):
        driver.drain(f"f-{number}")
    assert slurm_programs.cancelled() == [["--batch", "--signal=TERM", "7_1"], ["8_2"]]
    driver.stop("f-1")
    driver.stop("f-5")
    assert slurm_programs.cancelled()[2:] == [["7_1"]]


def test_a_job_that_ends_before_it_is_cancelled_is_no_trouble(
    build: Build, slurm_programs: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What scancel refuses counts only where the job is still there."""
    slurm_programs.has("7|1|RUNNING|None")
    slurm_programs.refuses("scancel", "scancel: error: Invalid job id specified")
    driver = build()
    with pytest.raises(EngineError, match=r"does not stop f-1: .*Invalid job id"):
        driver.stop("f-1")
    script = (slurm_programs.folder / "scancel").read_text()
    ends = "(folder / 'squeue.answers').write_text('7|1|COMPLETED|None')\nrefusal ="
    (slurm_programs.folder / "scancel").write_text(script.replace("refusal =", ends, 1))
    driver.stop("f-1")
    assert driver.list() == ()


def test_troubles_are_logged_once(
    build: Build, slurm_programs: FakeSlurm, caplog: pytest.LogCaptureFixture
) -> None:
    """Why a worker ended, and why one gets no place; not that it waits for its turn."""
    driver = build()
    slurm_programs.has("7|1|PENDING|Priority", "7|2|PENDING|PartitionTimeLimit", "7|3|RUNNING|None")
    driver.list()
    slurm_programs.has(
        "7|1|NODE_FAIL|None", "7|2|PENDING|PartitionTimeLimit", "7|3|FAILED|NonZeroExitCode"
    )
    driver.list()
    driver.list()
    assert [each.message for each in caplog.records] == [
        "f-2 (job 7_2): it waits: PartitionTimeLimit",
        "f-1 (job 7_1): NODE_FAIL (None)",
        "f-3 (job 7_3): FAILED (NonZeroExitCode)",
    ]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"),
        ("sbatch", "sbatch: error: invalid partition specified: gpux"),
    ],
)
def test_what_slurm_refuses_is_said_in_its_words(
    build: Build, slurm_programs: FakeSlurm, program: str, message: str
) -> None:
    """In one error of ours."""
    slurm_programs.refuses(program, message)
    with pytest.raises(EngineError) as refused:
        build().start("f-1")
    assert message in str(refused.value)


def test_an_answer_that_is_no_list_is_not_an_empty_one(
    build: Build, slurm_programs: FakeSlurm
) -> None:
    """A fleet that took it for one would start all its workers again."""
    slurm_programs.has("please log in")
    with pytest.raises(EngineError, match="squeue said 'please log in'"):
        build().list()


def test_programs_that_are_missing_or_silent_are_named(
    build: Build, slurm_programs: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the fleet starts, and while it runs."""
    from workers.fleet import slurm

    driver = build()
    monkeypatch.setattr(slurm, "_PATIENCE", 0.05)
    (slurm_programs.folder / "squeue").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(EngineError, match="squeue has not answered for"):
        driver.list()
    monkeypatch.setenv("PATH", str(slurm_programs.folder))
    lonely = build()
    (slurm_programs.folder / "squeue").unlink()
    with pytest.raises(EngineError, match="list the workers: there is no squeue; run the fleet"):
        lonely.list()
    with pytest.raises(EngineError, match="there is no squeue"):
        build()


def test_the_loop_goes_on_when_slurm_is_away(
    build: Build,
    slurm_programs: FakeSlurm,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says so once, and looks again."""
    slurm_programs.refuses("squeue", "Unable to contact slurm controller")
    fleet_settings = FleetSettings(driver="slurm", name="f", interval=0.01)
    worker = WorkerSettings(server="http://127.0.0.1:9", home=tmp_path)
    fleet = loop.fleet_of(build(), fleet_settings, worker)
    stop = threading.Event()
    thread = threading.Thread(target=fleet.run, args=(stop,))
    with caplog.at_level(logging.WARNING):
        thread.start()
        while len(slurm_programs.calls("squeue")) < 2:
            stop.wait(0.02)
        stop.set()
        thread.join(30)
    (record,) = caplog.records
    assert "the fleet keeps what it has: Slurm does not list the workers" in record.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"mine\.sh cannot be read"),
        (b"\xff\xfe", r"mine\.sh cannot be read"),
        (b"echo", r"mine\.sh is not a batch script"),
        (b"", r"mine\.sh is not a batch script"),
    ],
)
def test_a_script_that_is_none_is_named(
    slurm_programs: FakeSlurm, tmp_path: Path, content: bytes | None, message: str
) -> None:
    """Before anything is submitted."""
    file = tmp_path / "mine.sh"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        contract.load(FleetSettings(driver="slurm", script=file), WorkerSettings())
    assert not slurm_programs.calls("sbatch")


@pytest.mark.parametrize(
    ("server", "script", "is_warned"),
    [
        ("http://127.0.0.1:8000", "", True),
        ("http://127.0.0.1:8000", "export SEGTUNE_SERVER=http://inside:80", False),
        ("http://tune:8000", "", False),
    ],
)
def test_a_server_that_other_nodes_do_not_reach_is_named(
    slurm_programs: FakeSlurm,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    server: str,
    script: str,
    is_warned: bool,
) -> None:
    """It may be meant, where the cluster is this machine."""
    file = tmp_path / "mine.sh"
    file.write_text(f"#!/bin/sh\n{script}\n")
    contract.load(FleetSettings(driver="slurm", script=file), WorkerSettings(server=server))
    assert ("workers on other nodes do not reach" in caplog.text) == is_warned
    assert not slurm_programs.calls("squeue")


def test_parts_of_a_gpu_are_for_the_script_to_say(build: Build) -> None:
    """Slurm's own word for a part depends on the site."""
    with pytest.raises(InvalidInput, match=r"Slurm gives whole GPUs, and gpus is 0\.5"):
        build(gpus=0.5)
    build("#!/bin/sh\n#SBATCH --gres=shard:1\n", gpus=0.5)


def test_the_script_that_ships_is_in_the_manual() -> None:
    """A site copies it from there."""
    assert f"```bash\n{text('workers/fleet/slurm.sh')}```" in text("docs/fleet.md")


@settings(max_examples=30)
@given(st.lists(st.text(alphabet="#SBATCH-=gc \n", max_size=30), max_size=5))
def test_no_script_trips_the_look_at_it(lines: Sequence[str]) -> None:
    """What is found in it are options."""
    from workers.fleet import slurm

    found = slurm._said("\n".join(["#!/bin/sh", *lines]))
    assert all(option.startswith("-") for option in found)
