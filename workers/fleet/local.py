"""Workers as processes of this machine, which live on when the fleet's own process ends."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tuner.atomic import replacing
from tuner.errors import EngineError
from workers.devices import cores, gpus
from workers.fleet.contract import FleetDriver, FleetMember
from workers.fleet.environment import environment
from workers.fleet.loop import name_of
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings


def build(fleet: FleetSettings, worker: WorkerSettings) -> FleetDriver:
    """Give the driver whose processes have their files in the home folder."""
    return LocalDriver(worker.home / "fleet" / name_of(fleet), fleet, worker)


class LocalDriver:
    """Knows its processes by their number and the time at which they began."""

    def __init__(self, folder: Path, fleet: FleetSettings, worker: WorkerSettings) -> None:
        self._folder, self._fleet, self._worker = folder, fleet, worker
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def list(self) -> tuple[FleetMember, ...]:
        """Processes that live."""
        found = []
        for name in [*self._children]:
            self._process(name)  # one that has ended is waited for
        for file in sorted(self._folder.glob("*.json")):
            if self._process(file.stem) is None:
                file.unlink(missing_ok=True)
            else:
                found.append(FleetMember(file.stem))
        return tuple(found)

    def start(self, name: str) -> None:
        """Start `segtune worker`; raises EngineError where the machine does not let it."""
        if self._process(name) is not None:
            return
        device = self._device(name)
        arguments = ["worker", "--name", name, "--device", device]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"{name}.log").open("ab") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", "tuner.cli.app", *arguments],
                    env=self._environment(device),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C ends the fleet, not its workers
                )
            self._children[name] = child
            known = {"pid": child.pid, "began": psutil.Process(child.pid).create_time()}
            with replacing(self._folder / f"{name}.json") as draft:
                draft.write_text(json.dumps(known), encoding="utf-8")
        except (OSError, psutil.Error) as error:
            raise EngineError(f"{name} cannot be started on this machine: {error}") from error

    def drain(self, name: str) -> None:
        """Send SIGTERM, at which a worker saves its trial and ends."""
        if (process := self._process(name)) is not None:
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    def stop(self, name: str) -> None:
        """Send SIGKILL; its trainer ends with it."""
        if (process := self._process(name)) is not None:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _process(self, name: str) -> psutil.Process | None:
        """The process of a worker, if it lives."""
        if (child := self._children.get(name)) is not None and child.poll() is not None:
            del self._children[name]
        with suppress(OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
            known = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            process = psutil.Process(known["pid"])
            is_same = abs(process.create_time() - known["began"]) < 1.0
            if is_same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    def _device(self, name: str) -> str:
        """The device of a worker: over the GPUs by its number, where all may be taken."""
        if not self._fleet.gpus:
            return "cpu"
        wanted, found = self._worker.device, gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
        if wanted != "auto" or not found or self._fleet.gpus > 1:
            return wanted
        number = name.rpartition("-")[2]
        return f"cuda:{(int(number) - 1 if number.isdigit() else 0) % len(found)}"

    def _environment(self, device: str) -> Mapping[str, str]:
        """What the fleet was given, for its workers; those on the CPU share its cores."""
        found = {**os.environ, **environment(self._fleet, self._worker)}
        if not device.startswith("cuda"):
            share = max(1, cores() // max(1, self._fleet.max))
            found.setdefault("SEGTUNE_THREADS", str(self._worker.threads or share))
        return found
