"""Workers as detached actors of a Ray cluster, one actor for each.

Ray finds a place with the GPUs and CPUs, and nothing more: it restarts no actor and repeats no
call. A node that dies takes its workers along; their leases end, and the fleet starts others.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tuner import logs
from tuner.errors import EngineError, PackageMissing
from workers.fleet.contract import FleetDriver, FleetMember
from workers.fleet.loop import name_of
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

_NAMESPACE = "segtune"
_GLANCE = 1.0  # seconds for an actor to say that it runs


def build(fleet: FleetSettings, worker: WorkerSettings) -> FleetDriver:
    """Connect to the cluster of RAY_ADDRESS, or of this machine.

    Raises:
        PackageMissing: Ray is not installed.
        EngineError: no cluster answers.
    """
    try:
        import ray
    except ImportError as error:
        raise PackageMissing(f"Ray is missing ({error}): pip install 'segtune[ray]'") from error
    if not ray.is_initialized():
        with _errors("no Ray cluster answers; start one, or set RAY_ADDRESS to its address"):
            ray.init(
                address="auto", namespace=_NAMESPACE, log_to_driver=False, configure_logging=False
            )
    return RayDriver(ray, fleet, worker)


class RayDriver:
    """Finds its actors by their names, so that any fleet process of the same name can go on."""

    def __init__(self, ray: Any, fleet: FleetSettings, worker: WorkerSettings) -> None:
        self._ray, self._fleet, self._worker = ray, fleet, worker
        self._prefix = f"{name_of(fleet)}-"
        self._placed: dict[str, Any] = {}  # what an actor answers once it has a place

    def list(self) -> tuple[FleetMember, ...]:
        """Actors that live or wait for a place."""
        with _errors("Ray does not list its actors"):
            known = self._ray.util.list_named_actors(all_namespaces=True)
            names = sorted(
                each["name"]
                for each in known
                if each["namespace"] == _NAMESPACE and self._is_ours(each["name"])
            )
            placed = {name: ref for name in names if (ref := self._placing(name)) is not None}
            self._placed = placed
            refs = [*placed.values()]
            if not refs:
                return ()
            ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=_GLANCE)
        return tuple(FleetMember(name, is_pending=ref not in ready) for name, ref in placed.items())

    def start(self, name: str) -> None:
        """Ask Ray for an actor; it may wait for a place, or for the autoscaler to make one."""
        with _errors(f"Ray does not start {name}"):
            options = {
                "name": name,
                "namespace": _NAMESPACE,
                "lifetime": "detached",
                "num_gpus": self._fleet.gpus,
                "num_cpus": self._fleet.cpus,
                "max_restarts": 0,
                "max_task_retries": 0,
                "scheduling_strategy": "SPREAD",
            }
            given = self._worker.model_dump(exclude_unset=True)
            self._ray.remote(WorkerActor).options(**options).remote(self._settings(name, given))

    def drain(self, name: str) -> None:
        """Tell its agent to stop, or forget an actor that never had a place."""
        with _errors(f"Ray does not drain {name}"):
            actor = self._actor(name)
            if actor is None:
                return
            ref = self._placing(name)
            if self._ray.wait([ref], timeout=_GLANCE)[0]:
                actor.drain.remote()
            else:
                self._ray.kill(actor)

    def stop(self, name: str) -> None:
        """Kill the actor."""
        with _errors(f"Ray does not stop {name}"):
            if (actor := self._actor(name)) is not None:
                self._ray.kill(actor)

    def _is_ours(self, name: str) -> bool:
        return name.startswith(self._prefix) and name.removeprefix(self._prefix).isdigit()

    def _actor(self, name: str) -> Any:
        try:
            return self._ray.get_actor(name, namespace=_NAMESPACE)
        except ValueError:  # it has ended meanwhile
            return None

    def _placing(self, name: str) -> Any:
        """A call that an actor answers as soon as it runs; None where there is no such actor."""
        actor = self._actor(name)
        if actor is None:
            return None
        return self._placed.get(name) or actor.is_there.remote()

    def _settings(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        own: dict[str, Any] = {"worker_name": name, "server": self._worker.server}
        if not self._fleet.gpus:
            own["device"] = "cpu"
        if self._fleet.gpus > 1:
            own["gpus"] = int(self._fleet.gpus)
        if self._fleet.slots > 1:
            own["slots"] = self._fleet.slots
        if "threads" not in given and self._fleet.cpus >= 1:
            own["threads"] = int(self._fleet.cpus)
        return {**given, **own}


class WorkerActor:
    """A worker's agent in an actor's process; its trainer is a child, and ends with it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        logs.configure("info", settings.get("log_format", "text"))
        self._stop = threading.Event()
        # Beside Ray's calls, of which the last one would end with the process that made it.
        thread = threading.Thread(target=self._work, args=(settings,), name="agent", daemon=True)
        thread.start()

    def is_there(self) -> bool:
        """Whether it runs."""
        return not self._stop.is_set()

    def drain(self) -> None:
        """Let the agent save and hand back what it has, and end."""
        self._stop.set()

    def _work(self, settings: Mapping[str, Any]) -> None:
        from workers.agent import run

        try:
            run(WorkerSettings(**settings), stop=self._stop)
        except Exception:
            logging.getLogger(__name__).exception("the worker ends")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # gives its place back; Ray notes it


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Say in one error of ours what Ray says in many."""
    try:
        yield
    except Exception as error:  # RayError, and ConnectionError, RuntimeError, ValueError of old
        raise EngineError(f"{what} ({type(error).__name__}: {error})") from error
