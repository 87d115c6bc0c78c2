"""Workers as elements of Slurm job arrays, one array for each, whose index is its number.

Slurm finds a place with the GPUs and CPUs, and nothing more: it requeues no job. A node that is
lost takes its workers along; their leases end, and the fleet starts others. Near its time limit a
worker gets a SIGTERM, saves a checkpoint and hands its trial back.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from tuner.errors import EngineError, InvalidInput, Problem
from workers.fleet.contract import FleetDriver, FleetMember
from workers.fleet.environment import environment, is_local
from workers.fleet.loop import name_of
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)
_PROGRAMS = ("sbatch", "squeue", "scancel")
_SCRIPT = Path(__file__).with_suffix(".sh")
_PATIENCE = 60.0  # seconds for an answer: Slurm's programs ask again by themselves
_FORMAT = "%F|%K|%T|%r"  # array, index, state, why it waits or ended
_WAITS = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_TROUBLES = {
    *("BOOT_FAIL", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
}
_ENDED = {"CANCELLED", "COMPLETED", "REVOKED", *_TROUBLES}
_USUAL = {"None", "Priority", "Resources"}  # reasons to wait that pass by themselves
# Options that mean the same; what a script or the environment says, the fleet does not.
_GPUS = {"--gres", "--gpus", "-G", "--gpus-per-node", "--gpus-per-socket", "--gpus-per-task"}
_CPUS = {"--cpus-per-task", "-c", "--cpus-per-gpu", "--exclusive"}
_OUTPUT = {"--output", "-o"}
# Of a job that the fleet itself runs in, or what would filter, ask back or wait.
_OTHERS = re.compile("SLURM_|SQUEUE_|SCANCEL_|SBATCH_WAIT$|CUDA_VISIBLE_DEVICES")
_OURS = {"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"}


def build(fleet: FleetSettings, worker: WorkerSettings) -> FleetDriver:
    """Give the driver for the cluster that this machine's Slurm programs speak to.

    Raises:
        InvalidInput: the script is none, or asks for GPUs that Slurm cannot give.
        EngineError: Slurm's programs are not installed.
    """
    script = _read(fleet.script or _SCRIPT)
    if not fleet.gpus.is_integer() and not _GPUS & _said(script):
        message = (
            f"Slurm gives whole GPUs, and gpus is {fleet.gpus:g}; give a whole number, "
            "or a script that says itself what it takes (#SBATCH --gres=shard:1)"
        )
        raise InvalidInput([Problem(("gpus",), message)])
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise EngineError(_missing(program))
    if is_local(worker.server) and "SEGTUNE_SERVER" not in script:
        logger.warning("workers on other nodes do not reach %s", worker.server)
    return SlurmDriver(script, fleet, worker)


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """An element of one of the fleet's arrays."""

    id: str
    worker: str
    state: str
    reason: str

    @property
    def lives(self) -> bool:
        """Whether it runs, waits, or still takes its place: a state that is not known may."""
        return self.state not in _ENDED

    @property
    def waits(self) -> bool:
        """Whether it has no place yet, or none again."""
        return self.state in _WAITS


class SlurmDriver:
    """Finds its jobs by their name, so that any fleet process of the same name can go on."""

    def __init__(self, script: str, fleet: FleetSettings, worker: WorkerSettings) -> None:
        self._script, self._fleet, self._worker = script, fleet, worker
        self._name = name_of(fleet)
        self._logs = worker.home / "fleet" / self._name
        self._environment = _environment(fleet, worker)
        self._explained = set[tuple[str, str]]()

    def list(self) -> tuple[FleetMember, ...]:
        """Jobs that have not ended; logs once why others did, and what keeps one from a place."""
        jobs = self._jobs()
        for job in jobs:
            self._explain(job)
        waits = dict[str, bool]()
        for job in jobs:
            if job.lives:
                waits[job.worker] = job.waits and waits.get(job.worker, True)
        return tuple(FleetMember(name, is_pending=waits[name]) for name in sorted(waits))

    def start(self, name: str) -> None:
        """Submit an array of one, which may wait for a place."""
        if self._living(name):
            return
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"Slurm does not start {name}: no place for its log: {error}"
            ) from error
        command = ("sbatch", *self._options(name.rpartition("-")[2]))
        self._call(f"start {name}", command, self._script)

    def drain(self, name: str) -> None:
        """Send SIGTERM to a worker, which saves its trial and ends; take back one that waits."""
        for job in self._living(name):
            if job.waits:
                self._cancel(f"drain {name}", job)
            elif job.state != "COMPLETING":
                self._cancel(f"drain {name}", job, "--batch", "--signal=TERM")

    def stop(self, name: str) -> None:
        """Cancel its job, which Slurm kills."""
        for job in self._living(name):
            self._cancel(f"stop {name}", job)

    def _living(self, name: str) -> Sequence[SlurmJob]:
        return [job for job in self._jobs() if job.worker == name and job.lives]

    def _jobs(self) -> Sequence[SlurmJob]:
        """The elements of this fleet's arrays, those too that ended some minutes ago."""
        what = "list the workers"
        asked = ("--me", "--noheader", "--array", "--states=all", f"--name={self._job_name}")
        answer = self._call(what, ("squeue", *asked, f"--format={_FORMAT}"))
        found = []
        for line in filter(None, map(str.strip, answer.splitlines())):
            if line.startswith("CLUSTER:"):
                continue
            parts = line.split("|", maxsplit=3)
            if len(parts) < 4:  # taken for none, all workers would be started again
                raise EngineError(f"Slurm does not {what}: squeue said '{line[:200]}'")
            array, index, state, reason = parts
            if index.isdigit():
                found.append(SlurmJob(f"{array}_{index}", f"{self._name}-{index}", state, reason))
        return found

    @property
    def _job_name(self) -> str:
        return f"segtune-{self._name}"

    def _options(self, number: str) -> Iterator[str]:
        """How the worker of a number is submitted; an option weighs more than the script."""
        yield from (f"--job-name={self._job_name}", f"--array={number}")
        yield from ("--no-requeue", "--export=ALL")
        said = _said(self._script)
        if not said & {"--signal"}:
            yield "--signal=B:TERM@120"
        if not said & _CPUS:
            yield f"--cpus-per-task={ceil(self._fleet.cpus)}"
        if self._fleet.gpus and not said & _GPUS:
            yield f"--gres=gpu:{int(self._fleet.gpus)}"
        if not said & _OUTPUT:
            folder = str(self._logs).replace("%", "%%")
            yield from (f"--output={folder}/{self._name}-%a.log", "--open-mode=append")

    def _cancel(self, what: str, job: SlurmJob, *options: str) -> None:
        try:
            self._call(what, ("scancel", *options, job.id))
        except EngineError:
            now = {each.id: each for each in self._living(job.worker)}.get(job.id)
            if now is not None and now.state != "COMPLETING":
                raise

    def _call(self, what: str, command: Sequence[str], script: str = "") -> str:
        """What one of Slurm's programs answers. Raises EngineError."""
        try:
            done = subprocess.run(
                command,
                input=script,
                capture_output=True,
                env=self._environment,
                encoding="utf-8",
                errors="replace",
                timeout=_PATIENCE,
                check=False,
            )
        except FileNotFoundError as error:
            raise EngineError(f"Slurm does not {what}: {_missing(command[0])}") from error
        except subprocess.TimeoutExpired as error:
            silent = f"{command[0]} has not answered for {_PATIENCE:.0f} s"
            raise EngineError(f"Slurm does not {what}: {silent}") from error
        except OSError as error:
            raise EngineError(f"Slurm does not {what}: {command[0]}: {error}") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[:500]
            said = said or f"{command[0]} ended with exit status {done.returncode}"
            raise EngineError(f"Slurm does not {what}: {said}")
        return done.stdout

    def _explain(self, job: SlurmJob) -> None:
        """Log each trouble of a job once."""
        if job.state in _TROUBLES:
            sentence = f"{job.state} ({job.reason})"
        elif job.waits and job.reason not in _USUAL:
            sentence = f"it waits: {job.reason}"
        else:
            return
        if (job.id, sentence) not in self._explained:
            self._explained.add((job.id, sentence))
            logger.warning("%s (job %s): %s", job.worker, job.id, sentence)


def _read(file: Path) -> str:
    """A batch script. Raises InvalidInput."""
    try:
        script = file.expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        message = f"the batch script {file} cannot be read: {error}"
        raise InvalidInput([Problem(("script",), message)]) from error
    if not script.startswith("#!"):
        message = f"{file} is not a batch script; it must begin with #!, as #!/bin/bash"
        raise InvalidInput([Problem(("script",), message)])
    return script


def _said(script: str) -> set[str]:
    """The options of sbatch that a script gives before its first command, or the environment."""
    found = {
        "--" + name.removeprefix("SBATCH_").lower().replace("_", "-")
        for name in os.environ
        if name.startswith("SBATCH_")
    }
    for line in script.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if line.startswith("#SBATCH"):
            found |= set(re.findall(r"(?<!\S)(?:--[a-z-]+|-[A-Za-z])", line))
    return found


def _environment(fleet: FleetSettings, worker: WorkerSettings) -> Mapping[str, str]:
    """What Slurm's programs and the jobs see; what a job is, Slurm says itself."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _OURS or not _OTHERS.match(name)
    }
    own = {"SEGTUNE_PYTHON": sys.executable, "SEGTUNE_FLEET_NAME": name_of(fleet)}
    if not fleet.gpus:
        own["SEGTUNE_DEVICE"] = "cpu"
    elif "device" in worker.model_fields_set:
        own["SEGTUNE_DEVICE"] = worker.device
    if worker.threads is not None:
        own["SEGTUNE_THREADS"] = str(worker.threads)
    return {**kept, **environment(fleet, worker), **own}


def _missing(program: str) -> str:
    return f"there is no {program}; run the fleet where Slurm's programs are in the PATH"
