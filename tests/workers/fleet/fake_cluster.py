"""A cluster's API server on loopback, as far as Jobs and their pods go, and who may do what."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

RELEASE, TOKEN = "1.37", "cluster-token"
Object = dict[str, Any]


class Refused(Exception):
    """An answer that is not the one that was hoped for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FakeCluster:
    """Jobs and pods of one namespace; nodes are what a test says of them."""

    def __init__(self) -> None:
        self.jobs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.asked: list[tuple[str, str]] = []  # verb and kind, as a Role has them
        self.refusal: Refused | None = None
        self.makes_pods = True  # a quota or a suspended Job keeps it from doing so
        self._numbers = count(1)

    # ── What a node, or the cluster's controllers, do ────────────────────────────────────────

    def pod_of(self, worker: str) -> Object:
        """The newest pod of a worker."""
        mine = [each for each in self.pods.values() if _labels(each)["segtune/worker"] == worker]
        return mine[-1]

    def job_of(self, worker: str) -> Object:
        """The newest Job of a worker."""
        mine = [each for each in self.jobs.values() if _labels(each)["segtune/worker"] == worker]
        return mine[-1]

    def bind(self, worker: str, **status: Any) -> None:
        """Give a worker's pod a place on a node; it is still to be started there."""
        scheduled = {"type": "PodScheduled", "status": "True"}
        self.pod_of(worker)["status"] = {"phase": "Pending", "conditions": [scheduled], **status}

    def run(self, worker: str) -> None:
        """Let its container run."""
        self.bind(worker, phase="Running")

    def end(self, worker: str, *, phase: str = "Succeeded", **status: Any) -> None:
        """Let its pod end, and its Job with it."""
        self.pod_of(worker)["status"].update(phase=phase, **status)
        pod, job = self.pod_of(worker), self.job_of(worker)
        kind = "Complete" if phase == "Succeeded" else "Failed"
        reason = {} if phase == "Succeeded" else {"reason": "BackoffLimitExceeded"}
        job["status"] = {"conditions": [{"type": kind, "status": "True", **reason}]}
        if pod["metadata"].get("deletionTimestamp"):
            self._remove(pod)

    def lose_node(self, worker: str) -> None:
        """A node that answers no more: its pod is to go, and nobody says that it has gone."""
        pod = self.pod_of(worker)
        pod["metadata"]["deletionTimestamp"] = _now()
        reason = {"reason": "DeletionByTaintManager", "message": "its node is unreachable"}
        pod["status"]["conditions"] += [{"type": "DisruptionTarget", "status": "True", **reason}]

    def _remove(self, pod: Object) -> None:
        with suppress(KeyError):
            del self.pods[pod["metadata"]["name"]]
        for owner in pod["metadata"]["ownerReferences"]:
            job = self.jobs[owner["name"]]
            if job["metadata"].get("deletionTimestamp"):
                del self.jobs[owner["name"]]

    # ── What is asked of the API ─────────────────────────────────────────────────────────────

    def answer(self, method: str, target: str, body: Object, token: str) -> Object:
        """The answer to a request, or its refusal."""
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        match method, parts.path.split("/")[1:]:
            case verb, ["apis", "batch", "v1", "namespaces", "lab", "jobs", *name]:
                kind, store = "jobs", self.jobs
            case verb, ["api", "v1", "namespaces", "lab", "pods", *name]:
                kind, store = "pods", self.pods
            case _:
                raise Refused(404, f"there is no {parts.path}")
        verb = {"GET": "list", "POST": "create", "DELETE": "delete"}[method]
        self.asked.append((verb, kind))
        if token != f"Bearer {TOKEN}":
            raise Refused(401, "Unauthorized")
        if self.refusal is not None:
            raise self.refusal
        if verb == "list":
            wanted = [each.split("=") for each in query["labelSelector"].split(",")]
            return {"items": [each for each in store.values() if _fits(each, wanted)]}
        if verb == "create":
            return self._create(body, query)
        if name[0] not in store:
            raise Refused(404, f'{kind} "{name[0]}" not found')
        self._delete(store[name[0]], {**query, **body})
        return {"kind": "Status", "status": "Success"}

    def _create(self, job: Object, query: Mapping[str, str]) -> Object:
        assert query["fieldValidation"] == "Strict"
        try:
            kubernetes_validate.validate(job, RELEASE, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise Refused(400, f"strict decoding error: {error.message}") from error
        metadata = job["metadata"]
        metadata["name"] = f"{metadata.pop('generateName')}{next(self._numbers):05}"
        metadata["uid"] = f"uid-of-{metadata['name']}"
        self.jobs[metadata["name"]] = job
        if self.makes_pods:
            name = f"{metadata['name']}-{next(self._numbers):05}"
            owner = {"kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
            self.pods[name] = {
                "metadata": {
                    "name": name,
                    "uid": f"uid-of-{name}",
                    "labels": job["spec"]["template"]["metadata"]["labels"],
                    "ownerReferences": [owner],
                },
                "spec": job["spec"]["template"]["spec"],
                "status": {"phase": "Pending"},
            }
        return job

    def _delete(self, item: Object, options: Mapping[str, Any]) -> None:
        """Foreground: the Job goes after its pods, which have the time that they were given."""
        pods = [
            pod
            for pod in self.pods.values()
            if pod is item or item["metadata"]["uid"] in _owners(pod)
        ]
        if item["metadata"]["name"] in self.jobs:
            assert options["propagationPolicy"] == "Foreground"
            item["metadata"]["deletionTimestamp"] = _now()
            if not pods:
                del self.jobs[item["metadata"]["name"]]
        for pod in pods:
            pod["metadata"]["deletionTimestamp"] = _now()
            if options.get("gracePeriodSeconds") == "0" or pod["status"]["phase"] == "Pending":
                self._remove(pod)


def _labels(item: Object) -> Mapping[str, str]:
    labels: Mapping[str, str] = item["metadata"].get("labels", {})
    return labels


def _owners(pod: Object) -> set[str]:
    return {each["uid"] for each in pod["metadata"]["ownerReferences"]}


def _fits(item: Object, wanted: list[list[str]]) -> bool:
    return all(_labels(item).get(key) == value for key, value in wanted)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[str]:
    """Its address, while it is served."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}") if length else {}
            token = self.headers.get("Authorization", "")
            try:
                status, found = 200, cluster.answer(self.command, self.path, body or {}, token)
            except Refused as refusal:
                status, found = refusal.status, {"kind": "Status", "message": str(refusal)}
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _handle  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
