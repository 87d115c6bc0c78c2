"""What a fleet says to Kubernetes and reads from it: a worker's Job, and how it fares; pure."""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tuner.errors import InvalidInput, Problem
from tuner.spec.validation import summary
from tuner.wording import quantity
from workers.fleet.decision import GRACE
from workers.fleet.environment import is_local
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

FLEET, WORKER = "segtune/fleet", "segtune/worker"  # labels
_GPU = "nvidia.com/gpu"
_KEPT = 3600  # seconds for which an ended Job stays, with its log
_LONGEST = 63  # characters of a label, and of a Job's name
_OVER = {"Complete", "Failed", "FailureTarget"}
_ENDED = {"Succeeded", "Failed"}
_COMING = {"ContainerCreating", "PodInitializing"}

Object = dict[str, Any]


class _Part(BaseModel):
    """What the fleet reads of a part of a Job; the cluster looks at the rest."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Metadata(_Part):
    labels: dict[str, str] = Field(default_factory=dict)
    namespace: str | None = None


class _Variable(_Part):
    name: str


class _Resources(_Part):
    requests: dict[str, str | float] = Field(default_factory=dict)
    limits: dict[str, str | float] = Field(default_factory=dict)


class _Container(_Part):
    name: str
    command: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)
    env: list[_Variable] = Field(default_factory=list)
    resources: _Resources = _Resources()


class _PodSpec(_Part):
    containers: list[_Container] = Field(min_length=1)


class _Pod(_Part):
    metadata: _Metadata = _Metadata()
    spec: _PodSpec


class _JobSpec(_Part):
    template: _Pod


class _Job(_Part):
    apiVersion: Literal["batch/v1"]  # noqa: N815  # as Kubernetes spells it
    kind: Literal["Job"]
    metadata: _Metadata = _Metadata()
    spec: _JobSpec


def read_template(file: Path | None) -> Object:
    """The Job that workers are made of. Raises InvalidInput: there is none in the file."""
    if file is None:
        raise _wrong("Kubernetes needs a file with the Job that a worker is made of: --template")
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(f"{file} cannot be read: {error}") from error
    try:
        _Job.model_validate(found)
    except ValidationError as error:
        raise _wrong(f"{file} does not hold one Job: {summary(error, most=1)}") from error
    return dict(found)


def check(template: Object, name: str, fleet: FleetSettings, worker: WorkerSettings) -> None:
    """Raises InvalidInput: workers made of this template could not work."""
    container = _container(template)
    words = " ".join(map(str, (*container.get("command", ()), *container.get("args", ()))))
    given = {each["name"] for each in container.get("env", ())}
    longest = _LONGEST - len(f"-{fleet.max}")
    if len(name) > longest or not name[-1].isalnum():
        message = (
            f"'{name}' cannot be part of a label: it must have {longest} characters at most, and "
            "end with a letter or a digit; give another --name"
        )
        raise InvalidInput([Problem(("name",), message)])
    if "--name" in words:
        raise _wrong("the fleet names its workers; take --name out of the command")
    has_more = "envFrom" in container
    has_server = "--server" in words or "SEGTUNE_SERVER" in given or has_more
    if not has_server and is_local(worker.server):
        raise _wrong(f"a pod does not reach {worker.server}; set SEGTUNE_SERVER in its environment")
    has_token = "--token" in words or "SEGTUNE_TOKEN" in given or has_more
    if worker.token is not None and not has_token:
        raise _wrong("the container gets no token; set SEGTUNE_TOKEN from a Secret")
    _check_gpus(container, fleet)


def _check_gpus(container: Object, fleet: FleetSettings) -> None:
    asked = {
        key: value
        for key, value in container.get("resources", {}).get("limits", {}).items()
        if key.endswith("/gpu")
    }
    for key, value in asked.items():
        if str(value) != f"{fleet.gpus:g}":
            raise _wrong(
                f"the container has {key}: {value}, and the fleet counts "
                f"{quantity(fleet.gpus, 'GPU')} for a worker; make --gpus the same"
            )
    if not asked and fleet.gpus % 1:
        message = f"Kubernetes gives whole GPUs, and gpus is {fleet.gpus:g}; give 0, 1, 2, …"
        raise InvalidInput([Problem(("gpus",), message)])


def make(
    template: Object, name: str, fleet: str, settings: FleetSettings, worker: WorkerSettings
) -> Object:
    """A worker's Job: the template, and what it does not say itself."""
    job = deepcopy(template)
    metadata, spec = job.setdefault("metadata", {}), job["spec"]
    metadata.pop("name", None)
    # A name of its own each time, so that the log of the last worker of this name stays.
    metadata["generateName"] = f"{re.sub('[^a-z0-9-]', '-', name.lower())[:50]}-"
    pod = spec["template"]
    for each in (metadata, pod.setdefault("metadata", {})):
        each["labels"] = {**each.get("labels", {}), FLEET: fleet, WORKER: name}
    spec.update(parallelism=1, completions=1, backoffLimit=0)  # the lease owns recovery
    spec.setdefault("ttlSecondsAfterFinished", _KEPT)
    pod["spec"]["restartPolicy"] = "Never"
    pod["spec"].setdefault("terminationGracePeriodSeconds", int(GRACE))
    container = _container(job)
    _fill_resources(container.setdefault("resources", {}), settings)
    container["env"] = [*_environment(container.get("env", ()), name, settings, worker)]
    return job


def _fill_resources(resources: Object, settings: FleetSettings) -> None:
    requests, limits = resources.setdefault("requests", {}), resources.setdefault("limits", {})
    if settings.gpus and not any("/gpu" in key or "/mig-" in key for key in limits):
        limits[_GPU] = int(settings.gpus)
    if "cpu" not in {*requests, *limits}:
        requests["cpu"] = f"{settings.cpus:g}"


def _environment(
    given: Sequence[Object], name: str, settings: FleetSettings, worker: WorkerSettings
) -> Iterator[Object]:
    """The template's variables, and those that it has not."""
    yield from (each for each in given if each["name"] != "SEGTUNE_WORKER_NAME")
    yield {"name": "SEGTUNE_WORKER_NAME", "value": name}
    # A container sees all the cores of its node.
    cores = {"resourceFieldRef": {"resource": "requests.cpu"}}
    others: list[Object] = [
        {"name": "SEGTUNE_SERVER", "value": worker.server},
        {"name": "SEGTUNE_THREADS", "valueFrom": cores},
        *([] if settings.gpus else [{"name": "SEGTUNE_DEVICE", "value": "cpu"}]),
        *([{"name": "SEGTUNE_GPUS", "value": f"{settings.gpus:g}"}] if settings.gpus > 1 else []),
        *([{"name": "SEGTUNE_SLOTS", "value": str(settings.slots)}] if settings.slots > 1 else []),
    ]
    if worker.log_format != "text":
        others.append({"name": "SEGTUNE_LOG_FORMAT", "value": worker.log_format})
    names = {each["name"] for each in given}
    yield from (each for each in others if each["name"] not in names)


def is_over(job: Object, pods: Sequence[Object]) -> bool:
    """Whether a Job has ended, or is ending without having been asked to by the fleet.

    A node that is drained, preempted or lost takes its pods along; those of a lost one stay
    listed for as long as nobody knows better, and train nothing.
    """
    if _OVER & {each["type"] for each in _conditions(job) if each["status"] == "True"}:
        return True
    return not _is_deleted(job) and bool(pods) and all(map(_is_leaving, pods))


def has_place(pods: Sequence[Object]) -> bool:
    """Whether a node has been found for one of a Job's pods."""
    return any(
        each["type"] == "PodScheduled" and each["status"] == "True"
        for pod in pods
        for each in _conditions(pod)
    ) or any(pod.get("status", {}).get("phase") not in {None, "Pending"} for pod in pods)


def troubles(job: Object, pods: Sequence[Object]) -> Iterator[tuple[str, str]]:
    """Why a worker ended badly, or does not begin: a short reason, and a sentence.

    What a pod says is nearer to the reason than what its Job makes of it.
    """
    found = [each for pod in pods for each in _troubles_of(pod)]
    yield from found
    for each in _conditions(job):
        if each["type"] == "Failed" and each["status"] == "True" and not found:
            yield "Failed", f"its Job failed: {each.get('message', each.get('reason', ''))}"


def _troubles_of(pod: Object) -> Iterator[tuple[str, str]]:
    status = pod.get("status", {})
    if status.get("phase") == "Failed" and status.get("reason"):  # Evicted, …
        yield status["reason"], f"{status['reason']}: {status.get('message', '')}"
    for each in _conditions(pod):
        reason, message = each.get("reason", ""), each.get("message", "")
        if reason == "Unschedulable" and each["status"] == "False":
            yield reason, f"it has no place: {message}"
        if each["type"] == "DisruptionTarget" and each["status"] == "True":
            yield reason, f"{reason}: {message}"
    for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        yield from _trouble_of(each.get("state", {}))


def _trouble_of(state: Object) -> Iterator[tuple[str, str]]:
    waiting, terminated = state.get("waiting", {}), state.get("terminated", {})
    if waiting and (reason := waiting.get("reason", "")) not in _COMING:
        yield reason, f"its container does not start: {reason}: {waiting.get('message', '')}"
    if code := terminated.get("exitCode", 0):
        reason = terminated.get("reason", "Error")
        yield reason, f"its container ended with exit status {code} ({reason})"


def uid(item: Object) -> str:
    """What tells an object from every other."""
    return str(item["metadata"]["uid"])


def worker(job: Object) -> str:
    """The name of a Job's worker."""
    return str(job["metadata"]["labels"][WORKER])


def owners(pod: Object) -> set[str]:
    """The objects that a pod belongs to."""
    return {each["uid"] for each in pod["metadata"].get("ownerReferences", ())}


def _container(job: Object) -> Object:
    """The container that the worker runs in: the one of that name, or the first."""
    there: list[Object] = job["spec"]["template"]["spec"]["containers"]
    return next((each for each in there if each["name"] == "worker"), there[0])


def _conditions(item: Object) -> Sequence[Object]:
    return item.get("status", {}).get("conditions") or ()


def _is_deleted(item: Object) -> bool:
    return bool(item["metadata"].get("deletionTimestamp"))


def _is_leaving(pod: Object) -> bool:
    return _is_deleted(pod) or pod.get("status", {}).get("phase") in _ENDED


def _wrong(message: str) -> InvalidInput:
    return InvalidInput([Problem(("template",), message)])
