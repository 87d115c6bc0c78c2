"""The manifests of examples/kubernetes are valid, agree with each other, and with what we have."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml
from pydantic_settings import BaseSettings

from api.settings import Settings
from tests.house import manifests
from tests.house.manifests import FOLDER, KEDA, containers, of_kind, pods
from tests.house.tree import ROOT, text
from tuner.cli.app import app
from workers.fleet.settings import FleetSettings
from workers.limits import Limits
from workers.settings import WorkerSettings

RELEASE = "1.31"  # the oldest that is meant; a stable kind loses no key in later ones
COMPOSE: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))["services"]
PODS = pods()
WORKERS = ("keda/workers:ScaledJob", "plain/workers:Deployment", "fleet/worker:Job")
READ_BY: dict[str, tuple[type[BaseSettings], ...]] = {
    "serve": (Settings,),
    "db": (Settings,),
    "worker": (WorkerSettings,),
    "fleet": (FleetSettings, WorkerSettings),
}


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


# Of KEDA 2.20's `keda.sh/v1alpha1`, the keys that are used here, as its reference describes them.
_TEXT, _COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
_NUMBER = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}  # of a trigger, everything is a text
_METADATA = _object("name", name=_TEXT, labels={"additionalProperties": _TEXT})
_TRIGGER = _object(
    "type metadata",
    type={"const": "metrics-api"},
    metadata=_object(
        "url valueLocation targetValue",
        url={"type": "string", "pattern": "^https?://"},
        valueLocation=_TEXT,
        targetValue=_NUMBER,
        authMode={"enum": ["apiKey", "basic", "tls", "bearer"]},
    ),
    authenticationRef=_object("name", name=_TEXT),
)
_SCALED_JOB = _object(
    "jobTargetRef triggers",
    pollingInterval=_COUNT,
    minReplicaCount=_COUNT,
    maxReplicaCount=_COUNT,
    successfulJobsHistoryLimit=_COUNT,
    failedJobsHistoryLimit=_COUNT,
    rollout=_object(strategy={"enum": ["default", "gradual"]}),
    scalingStrategy=_object(strategy={"enum": ["default", "accurate", "eager"]}),
    triggers={"type": "array", "items": _TRIGGER, "minItems": 1},
    jobTargetRef={"type": "object"},  # a JobSpec, which is held to Kubernetes' own schema
)
_SECRET_KEY = _object("parameter name key", parameter=_TEXT, name=_TEXT, key=_TEXT)
KEDA_KINDS = {
    "ScaledJob": _SCALED_JOB,
    "TriggerAuthentication": _object(
        secretTargetRef={"type": "array", "items": _SECRET_KEY, "minItems": 1}
    ),
}


def test_every_object_is_one_that_kubernetes_knows() -> None:
    """Each fits the schema of its kind, without a key that this does not have."""
    known = [found for _, found in manifests.documents() if found["apiVersion"] != KEDA]
    for found in (*known, *map(manifests.job_of, of_kind("ScaledJob"))):
        kubernetes_validate.validate(found, RELEASE, strict=True)


def test_every_object_of_keda_is_one_that_it_knows() -> None:
    """Each fits what KEDA's reference says of its kind."""
    known = [found for _, found in manifests.documents() if found["apiVersion"] == KEDA]
    assert {found["kind"] for found in known} == set(KEDA_KINDS)
    for found in known:
        schema = _object(
            "metadata spec",
            apiVersion={"const": KEDA},
            kind=_TEXT,
            metadata=_METADATA,
            spec=KEDA_KINDS[found["kind"]],
        )
        jsonschema.Draft202012Validator(schema).validate(found)


@pytest.mark.parametrize("folder", ["base", "keda", "plain", "fleet"])
def test_a_kustomization_names_every_file_beside_it(folder: str) -> None:
    """Nothing is forgotten, and nothing named that is not there."""
    kustomization = yaml.safe_load(text(FOLDER / folder / "kustomization.yaml"))
    named = set(kustomization["resources"]) - {"../base"}
    for generator in kustomization.get("configMapGenerator", ()):
        named |= set(generator["files"])
    there = {path.name for path in (ROOT / FOLDER / folder).glob("*.yaml")}

    assert there - {"kustomization.yaml"} == named
    assert ("../base" in kustomization["resources"]) == (folder != "base")


def test_the_secret_is_described_where_it_is_made() -> None:
    """The keys that the manifests read are those that docs/deployment.md writes, outside of git."""
    read = {
        (each["name"], each["key"])
        for _, document in manifests.documents()
        for each in _secret_keys(document)
    }
    (generator,) = yaml.safe_load(text(FOLDER / "base/kustomization.yaml"))["secretGenerator"]
    written = re.findall(r"echo ([a-z-]+)=", text("docs/deployment.md"))

    assert read == {(generator["name"], key) for key in written}
    assert f"/{FOLDER}/base/{generator['envs'][0]}" in text(".gitignore").splitlines()


def _secret_keys(part: Any) -> list[dict[str, str]]:
    """Every reference to a key of a Secret."""
    if isinstance(part, dict):
        own = [part["secretKeyRef"]] if "secretKeyRef" in part else part.get("secretTargetRef", [])
        return [*own, *(one for value in part.values() for one in _secret_keys(value))]
    return [one for each in part for one in _secret_keys(each)] if isinstance(part, list) else []


def _command(container: dict[str, Any]) -> list[str]:
    return list(container["command"])


@pytest.mark.parametrize("container", manifests.ours(), ids=lambda each: str(each["name"]))
def test_a_container_runs_a_command_with_settings_that_exist(
    container: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Our parser takes its arguments, and a setting has each of its variables and their values."""
    monkeypatch.chdir(tmp_path)
    name, *arguments = _command(container)
    context = typer.main.get_command(app).make_context(name, list(arguments))
    assert isinstance(context.command, typer.core.TyperGroup)
    _, command, rest = context.command.resolve_command(context, arguments)
    assert command is not None
    with command.make_context(arguments[0], rest, parent=context):
        pass

    known = {
        f"{kind.model_config.get('env_prefix')}{field}".upper()
        for kind in READ_BY[arguments[0]]
        for field in kind.model_fields
    }
    for variable in container["env"]:
        assert variable["name"] in known | {"POSTGRES_PASSWORD"}
        is_number = "resourceFieldRef" in variable.get("valueFrom", {})
        elsewhere = "4" if is_number else "given-elsewhere"
        monkeypatch.setenv(variable["name"], variable.get("value", elsewhere))
    for kind in READ_BY[arguments[0]]:
        kind()


@pytest.mark.parametrize(
    ("pod", "container", "service"),
    [
        ("base/server:Deployment", "migrate", "migrate"),
        ("base/server:Deployment", "server", "server"),
        *((pod, "worker", "worker") for pod in WORKERS),
    ],
)
def test_compose_and_kubernetes_run_the_same(pod: str, container: str, service: str) -> None:
    """A container has the command of the service of compose, and its image's target."""
    (found,) = (each for each in containers(PODS[pod]) if each["name"] == container)
    build = COMPOSE[service]["build"]

    assert " ".join(_command(found)) == COMPOSE[service]["command"]
    assert found["image"].partition(":")[0] == f"segtune-{build['target']}"


def test_images_are_those_of_the_dockerfile_and_of_compose() -> None:
    """Ours are targets that can be built; PostgreSQL is the one of compose."""
    targets = set(re.findall(r"^FROM .* AS (\w+)$", text("Dockerfile"), re.MULTILINE))
    images = {each["image"] for pod in PODS.values() for each in containers(pod)}
    built = {image for image in images if image.startswith("segtune-")}

    assert {image.removeprefix("segtune-").partition(":")[0] for image in built} <= targets
    assert images - built == {COMPOSE["postgres"]["image"]}


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda each: each["metadata"]["name"])
def test_a_service_leads_to_a_port_of_a_pod(service: dict[str, Any]) -> None:
    """Its selector matches one template's labels, and its port is one of that."""
    selector = service["spec"]["selector"].items()
    (pod,) = (pod for pod in PODS.values() if selector <= pod["metadata"]["labels"].items())
    ports = {port["name"]: port for each in containers(pod) for port in each.get("ports", ())}

    for port in service["spec"]["ports"]:
        assert ports[port["targetPort"]]["containerPort"] == port["port"]


def test_addresses_are_those_of_services() -> None:
    """Every host and port that a manifest names is a Service of it."""
    there = {
        f"{service['metadata']['name']}:{port['port']}"
        for service in of_kind("Service")
        for port in service["spec"]["ports"]
    }
    (namespace,) = (each["metadata"]["name"] for each in of_kind("Namespace"))
    source = "\n".join(text(path) for path in manifests.FILES)
    named = set(re.findall(r"(?:http://|@)([\w.-]+:\d+)", source))

    assert {each.replace(f".{namespace}.svc.cluster.local", "") for each in named} == there


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_controller_selects_the_pods_that_it_makes(kind: str) -> None:
    """Labels and selectors agree; and what may reach PostgreSQL is there."""
    for each in of_kind(kind):
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"] == labels
    labels = [pod["metadata"]["labels"] for pod in PODS.values()]
    for policy in of_kind("NetworkPolicy"):
        (rule,) = policy["spec"]["ingress"]
        assert policy["spec"]["podSelector"]["matchLabels"] in labels
        assert all(peer["podSelector"]["matchLabels"] in labels for peer in rule["from"])


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_confined_and_writes_where_it_may(name: str) -> None:
    """It fits the profile `restricted`, and a volume is mounted wherever something is written."""
    spec = PODS[name]["spec"]
    volumes = {each["name"] for each in spec["volumes"]}
    if name.endswith("StatefulSet"):
        volumes.add("database")
    assert spec["enableServiceLinks"] is False  # a Service's SEGTUNE_PORT is not our setting
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(PODS[name]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
        assert {each["name"] for each in mounts.values()} <= volumes
        written = _folders(container["image"]) | {"/tmp"}  # the container's
        assert all(not mounts[folder].get("readOnly") for folder in written)
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}


def _folders(image: str) -> set[str]:
    """The folders that an image of ours is told to write to."""
    target = image.removeprefix("segtune-").partition(":")[0]
    stage = re.search(rf"^FROM .* AS {target}$(.*?)(?=^FROM|\Z)", text("Dockerfile"), re.M | re.S)
    return set(re.findall(r"[A-Z]\w+=(/\w+)", stage[1])) if stage else set()


def test_claims_are_there() -> None:
    """Every volume that a pod claims is claimed by a manifest."""
    claimed = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in PODS.values()
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }

    assert claimed == {each["metadata"]["name"] for each in of_kind("PersistentVolumeClaim")}


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_a_gpu_and_the_time_to_hand_back(name: str) -> None:
    """The three ways to run workers differ in what starts and ends them, and in nothing else."""
    spec, other = PODS[name]["spec"], PODS[WORKERS[0]]["spec"]
    (worker,), (same,) = spec["containers"], other["containers"]
    limits = Limits()

    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert spec["terminationGracePeriodSeconds"] > limits.stop_grace + limits.shutdown_grace
    assert {**worker, "env": ()} == {**same, "env": ()}
    assert {**spec, "containers": (), "restartPolicy": ""} == {
        **other,
        "containers": (),
        "restartPolicy": "",
    }


def test_jobs_end_and_are_not_repeated() -> None:
    """KEDA waits for a Job to end by itself; the lease, not the engine, recovers a trial."""
    (scaled,) = map(manifests.job_of, of_kind("ScaledJob"))
    (worker,) = scaled["spec"]["template"]["spec"]["containers"]
    for job in (scaled, *of_kind("Job")):
        assert job["spec"]["backoffLimit"] == 0
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"

    assert float(
        {each["name"]: each.get("value") for each in worker["env"]}["SEGTUNE_IDLE_SECONDS"]
    )
