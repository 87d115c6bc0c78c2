"""Workers as Jobs of a Kubernetes cluster, one pod for each.

Kubernetes finds a node with the GPUs, and nothing more: it repeats no Job and restarts no
container. A node that is lost takes its workers along; their leases end, and the fleet starts
others.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from tuner.errors import EngineError, PackageMissing
from workers.fleet import jobs
from workers.fleet.contract import FleetDriver, FleetMember
from workers.fleet.loop import name_of
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)
_PATIENCE = (5.0, 30.0)  # seconds to connect, and for an answer
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def build(fleet: FleetSettings, worker: WorkerSettings) -> FleetDriver:
    """Connect to the cluster of KUBECONFIG, or the one that this pod runs in.

    Raises:
        PackageMissing: its Python client is not installed.
        InvalidInput: no worker can be made of the template.
        EngineError: no cluster is configured.
    """
    try:
        import kubernetes
        import kubernetes.dynamic
    except ImportError as error:
        message = f"kubernetes is missing ({error}): pip install 'segtune[kubernetes]'"
        raise PackageMissing(message) from error
    template = jobs.read_template(fleet.template)
    jobs.check(template, name_of(fleet), fleet, worker)
    configuration, namespace = _configured(kubernetes)
    namespace = template.get("metadata", {}).get("namespace") or namespace
    return KubernetesDriver(Cluster(kubernetes, configuration, namespace), template, fleet, worker)


def _configured(kubernetes: Any) -> tuple[Any, str]:
    """How to reach a cluster, and the namespace to work in. Raises EngineError."""
    configuration = kubernetes.client.Configuration()
    configuration.retries = False  # the fleet looks again by itself
    file = os.environ.get("KUBECONFIG")
    try:
        if file is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes.config.load_incluster_config(client_configuration=configuration)
            return configuration, _NAMESPACE.read_text(encoding="utf-8").strip()
        kubernetes.config.load_kube_config(file, client_configuration=configuration)
        _, active = kubernetes.config.list_kube_config_contexts(file)
        return configuration, active["context"].get("namespace") or "default"
    except Exception as error:  # ConfigException, or what a damaged file makes of its reader
        message = f"no Kubernetes cluster is configured ({error}); set KUBECONFIG to its file"
        raise EngineError(message) from error


class Cluster:
    """Jobs and pods of a namespace, as they are: the typed client knows its own release alone."""

    def __init__(self, kubernetes: Any, configuration: Any, namespace: str) -> None:
        connection = kubernetes.client.ApiClient(configuration)
        # Without its discovery: the two kinds that are asked for are old.
        self._client = kubernetes.dynamic.DynamicClient(connection, discoverer=lambda *_: None)
        self._refusals = (kubernetes.client.exceptions.OpenApiException, HTTPError, ValueError)
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    def look(self, selector: str) -> Sequence[tuple[jobs.Object, Sequence[jobs.Object]]]:
        """Jobs of these labels, each with its pods."""
        found, pods = self._list(self._jobs, selector), self._list(self._pods, selector)
        return [(job, [pod for pod in pods if jobs.uid(job) in jobs.owners(pod)]) for job in found]

    def create(self, job: jobs.Object) -> None:
        """Create a Job; a key that Jobs do not have is refused."""
        self._ask("post", self._jobs, body=job, query_params=[("fieldValidation", "Strict")])

    def delete_job(self, job: jobs.Object) -> None:
        """Delete a Job, which stays listed until its pod has ended."""
        self._delete(self._jobs, job, propagation_policy="Foreground")

    def kill_pod(self, pod: jobs.Object) -> None:
        """Delete a pod without waiting for its node to say that it has ended."""
        self._delete(self._pods, pod, grace_period_seconds=0)

    @contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Say in one error of ours what the client says in many."""
        try:
            yield
        except self._refusals as error:
            raise EngineError(f"Kubernetes does not {what}: {_words(error)}") from error

    def _list(self, path: str, selector: str) -> Sequence[jobs.Object]:
        found = self._ask("get", path, label_selector=selector)
        if not isinstance(found, dict) or "items" not in found:  # of a proxy, or a login page
            raise ValueError(f"the answer to {path} is not a list")  # and not an empty one
        return found["items"] or ()

    def _delete(self, path: str, item: jobs.Object, **options: Any) -> None:
        try:
            self._ask("delete", f"{path}/{item['metadata']['name']}", **options)
        except self._refusals as error:
            if getattr(error, "status", None) != HTTPStatus.NOT_FOUND:
                raise

    def _ask(self, method: str, path: str, **given: Any) -> Any:
        answer = self._client.request(
            method, path, serialize=False, _request_timeout=_PATIENCE, **given
        )
        return json.loads(answer.data)


class KubernetesDriver:
    """Finds its Jobs by their labels, so that any fleet process of the same name can go on."""

    def __init__(
        self,
        cluster: Cluster,
        template: jobs.Object,
        fleet: FleetSettings,
        worker: WorkerSettings,
    ) -> None:
        self._cluster, self._template = cluster, template
        self._fleet, self._worker, self._name = fleet, worker, name_of(fleet)
        self._said = set[tuple[str, str]]()

    def list(self) -> tuple[FleetMember, ...]:
        """Jobs that have not ended, and neither has their pod; logs why others did."""
        with self._cluster.errors("list the workers"):
            found = self._cluster.look(f"{jobs.FLEET}={self._name}")
        for job, pods in found:
            self._explain(job, pods)
        return tuple(
            FleetMember(jobs.worker(job), is_pending=not jobs.has_place(pods))
            for job, pods in found
            if not jobs.is_over(job, pods)
        )

    def start(self, name: str) -> None:
        """Create a Job, whose pod may wait for a node, or for the autoscaler to make one."""
        with self._cluster.errors(f"start {name}"):
            self._cluster.create(
                jobs.make(self._template, name, self._name, self._fleet, self._worker)
            )

    def drain(self, name: str) -> None:
        """Delete its Job, whose pod gets a SIGTERM, and the time to save."""
        with self._cluster.errors(f"drain {name}"):
            for job, _ in self._cluster.look(self._selector(name)):
                self._cluster.delete_job(job)

    def stop(self, name: str) -> None:
        """Delete its Job, and its pod at once."""
        with self._cluster.errors(f"stop {name}"):
            for job, pods in self._cluster.look(self._selector(name)):
                self._cluster.delete_job(job)
                for pod in pods:
                    self._cluster.kill_pod(pod)

    def _selector(self, name: str) -> str:
        return f"{jobs.FLEET}={self._name},{jobs.WORKER}={name}"

    def _explain(self, job: jobs.Object, pods: Sequence[jobs.Object]) -> None:
        """Log each trouble of a worker once."""
        for reason, sentence in jobs.troubles(job, pods):
            if (jobs.uid(job), reason) not in self._said:
                self._said.add((jobs.uid(job), reason))
                name = job["metadata"]["name"]
                logger.warning("%s (Job %s): %s", jobs.worker(job), name, sentence)


def _words(error: Exception) -> str:
    """What the cluster said, or what kept it from saying anything."""
    status = getattr(error, "status", None)
    if status is None:
        return f"{type(error).__name__}: {error}"
    try:
        said = json.loads(getattr(error, "body", None) or "")["message"]
    except (ValueError, KeyError, TypeError):
        said = getattr(error, "reason", "")
    return f"{said} ({status})"
