"""Looks at engine and server, decides, does it, and looks again.

The fleet's own memory is a small file in the home folder, so that `--once` in a timer keeps its
cooldown and its hours. Where server or engine does not answer, nothing is started or ended.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tuner.atomic import replacing
from tuner.errors import EngineError, InvalidInput, NotFound, Problem, ServerUnreachable
from workers.devices import hostname
from workers.fleet.contract import FleetDriver
from workers.fleet.decision import FleetPlan, FleetRecord, Sight, decide
from workers.fleet.server import FleetClient
from workers.fleet.settings import FleetSettings
from workers.notices import Notices
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)
_MAY_PASS = (ServerUnreachable, EngineError, OSError)  # the last: its own memory, a full disk


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers of one name on one engine, for one server."""

    driver: FleetDriver
    client: FleetClient
    settings: FleetSettings
    name: str
    file: Path
    clock: Callable[[], float] = time.time

    def look(self) -> FleetPlan:
        """What is to be done now.

        Raises:
            ServerUnreachable: the server does not answer, and the fleet keeps what it has.
            EngineError: the engine does not answer.
            InvalidInput: the fleet's memory cannot be read.
        """
        sight = Sight(
            now=self.clock(),
            members=self.driver.list(),
            workers=self.client.workers(),
            queue=self.client.queue(),
        )
        return decide(sight, read(self.file), self.settings, name=self.name)

    def act(self, plan: FleetPlan) -> None:
        """Do what a plan says.

        Raises:
            ServerUnreachable, EngineError: the rest is for the next look.
            OSError: the fleet's memory cannot be written, and nothing is done.
        """
        _write(self.file, plan.memory)  # first: what is started and forgotten is never ended
        for name in plan.drain:
            with suppress(NotFound):  # the server has removed it since it was asked
                self.client.drain(name)
        for name in plan.end:
            self.driver.drain(name)
        for name in plan.stop:
            logger.warning("%s did not end when it was asked to, and is killed", name)
            self.driver.stop(name)
        for name in plan.start:
            self._let_take_trials(name)
            self.driver.start(name)

    def _let_take_trials(self, name: str) -> None:
        """Take off the mark that the last worker of this name may have left."""
        try:
            self.client.undrain(name)
        except NotFound:
            logger.debug("%s is new", name)

    def run(self, stop: threading.Event) -> None:
        """Look and act until `stop`; workers live on.

        Raises:
            Unauthorized, UnsupportedVersion: asking again does not change it.
        """
        notices = Notices()
        while not stop.is_set():
            try:
                plan = self.look()
                log(plan)
                self.act(plan)
            except _MAY_PASS as error:
                notices.trouble(f"the fleet keeps what it has: {error}")
            else:
                notices.over("server and engine answer again")
            stop.wait(self.settings.interval)


def log(plan: FleetPlan) -> None:
    """Say what a plan changes, and why."""
    for line in lines(plan):
        logger.info("%s", line)


def lines(plan: FleetPlan) -> list[str]:
    """What a plan changes, in words; empty where it changes nothing."""
    steps = {"start": plan.start, "drain": plan.drain, "end": plan.end, "kill": plan.stop}
    changes = [f"{verb} {', '.join(names)}" for verb, names in steps.items() if names]
    return [f"{change} (wanted: {plan.desired}; {plan.reason})" for change in changes]


def fleet_of(driver: FleetDriver, fleet: FleetSettings, worker: WorkerSettings) -> Fleet:
    """The fleet that settings describe. Raises InvalidInput."""
    token = worker.token.get_secret_value() if worker.token else None
    name = name_of(fleet)
    return Fleet(
        driver,
        FleetClient(worker.server, token),
        fleet,
        name,
        worker.home / "fleet" / f"{fleet.driver}-{name}.json",
    )


def name_of(fleet: FleetSettings) -> str:
    """What the names of a fleet's workers begin with."""
    return fleet.name or f"{hostname()}-fleet"


def read(file: Path) -> FleetRecord:
    """What a fleet has kept. Raises InvalidInput."""
    try:
        return FleetRecord.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return FleetRecord()
    except ValidationError as error:
        message = f"{file} is not a fleet's memory ({error.error_count()} mistakes); remove it"
        raise InvalidInput([Problem(("home",), message)]) from error


def _write(file: Path, memory: FleetRecord) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as draft:
        draft.write_text(memory.model_dump_json(), encoding="utf-8")
