"""The manifests of examples/kubernetes: their documents, the pods in them, and what these run."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.house.tree import ROOT, text

FOLDER = Path("examples/kubernetes")
FILES = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / FOLDER).rglob("*.yaml")
    if path.name != "kustomization.yaml"
)
KEDA = "keda.sh/v1alpha1"


@cache
def documents() -> list[tuple[Path, dict[str, Any]]]:
    """Every object, with the file that it is in."""
    return [
        (path, document)
        for path in FILES
        for document in yaml.safe_load_all(text(path))
        if document is not None
    ]


def of_kind(kind: str) -> list[dict[str, Any]]:
    """Every object of a kind."""
    return [document for _, document in documents() if document["kind"] == kind]


def job_of(scaled_job: dict[str, Any]) -> dict[str, Any]:
    """The Job that KEDA makes of a ScaledJob."""
    metadata = {"generateName": f"{scaled_job['metadata']['name']}-"}
    spec = scaled_job["spec"]["jobTargetRef"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def pods() -> dict[str, dict[str, Any]]:
    """Every pod template by its file and kind."""
    found = {}
    for path, document in documents():
        spec = (job_of(document) if document["kind"] == "ScaledJob" else document).get("spec", {})
        if "template" in spec:
            found[f"{path.parent.name}/{path.stem}:{document['kind']}"] = spec["template"]
    return found


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that come first, and those that stay."""
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def ours() -> list[dict[str, Any]]:
    """Every container that runs a command of ours."""
    return [
        container
        for pod in pods().values()
        for container in containers(pod)
        if container["image"].startswith("segtune-")
    ]
