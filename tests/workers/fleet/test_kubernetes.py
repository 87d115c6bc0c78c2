"""A fleet of Jobs, on an API server of our own: what it is asked, and how its Jobs fare."""

import re
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.settings import Settings
from tests.api.samples import serving as serving_api
from tests.api.samples import study
from tests.house.manifests import of_kind
from tests.house.tree import ROOT, text
from tests.workers.fleet.fake_cluster import TOKEN, FakeCluster, Refused, serving
from tuner.errors import EngineError, InvalidInput, PackageMissing
from workers.fleet import contract, jobs, loop
from workers.fleet.contract import FleetDriver, FleetMember
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

TEMPLATE = Path("examples/kubernetes/fleet/worker.yaml")
FLEET = FleetSettings(_env_file=None)
WORKER = WorkerSettings(_env_file=None, server="http://tune:8000")
Build = Callable[..., FleetDriver]


def kubeconfig(address: str, token: str = TOKEN) -> dict[str, Any]:
    """How `kubectl` would find the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "lab"}}
        ],
    }


@pytest.fixture
def cluster() -> FakeCluster:
    """An empty one."""
    return FakeCluster()


@pytest.fixture
def build(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Make a driver for that cluster, as `segtune fleet` does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # the client asks a proxy for loopback too
    with serving(cluster) as address:
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig(address)))
        monkeypatch.setenv("KUBECONFIG", str(file))

        def driver(
            template: dict[str, Any] | None = None, *, token: str | None = None, **values: Any
        ) -> FleetDriver:
            path = ROOT / TEMPLATE
            if template is not None:
                path = tmp_path / "worker.yaml"
                path.write_text(yaml.safe_dump(template))
            given: dict[str, Any] = {"name": "f", "template": path, **values}
            fleet = FleetSettings(driver="kubernetes", **given)
            return contract.load(fleet, WorkerSettings(server="http://tune:8000", token=token))

        yield driver


def template(**container: Any) -> dict[str, Any]:
    """The shortest Job that a worker can be made of."""
    worker = {"name": "worker", "image": "worker:1", **container}
    spec = {"template": {"spec": {"containers": [worker]}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}


def test_a_worker_comes_waits_works_and_goes(build: Build, cluster: FakeCluster) -> None:
    """A fleet process finds what another one of its name began; a drained pod has its time."""
    assert build().list() == ()
    build().start("f-1")
    driver = build()
    assert driver.list() == (FleetMember("f-1", is_pending=True),)
    cluster.bind("f-1")
    assert driver.list() == (FleetMember("f-1"),)
    cluster.run("f-1")
    driver.drain("f-1")
    assert driver.list() == (FleetMember("f-1"),)
    assert "deletionTimestamp" in cluster.pod_of("f-1")["metadata"]
    cluster.end("f-1")
    assert driver.list() == ()
    assert cluster.jobs == {}
    for act in (driver.drain, driver.stop):
        act("f-1")  # it may have ended meanwhile


def test_a_worker_without_a_place_goes_at_once(build: Build, cluster: FakeCluster) -> None:
    """Nothing runs that could need time."""
    cluster.makes_pods = False  # a quota, or a queue that has suspended the Job
    driver = build()
    driver.start("f-1")
    assert driver.list() == (FleetMember("f-1", is_pending=True),)
    driver.drain("f-1")
    assert driver.list() == ()


def test_a_worker_that_does_not_end_is_killed(build: Build, cluster: FakeCluster) -> None:
    """Its pod goes without waiting for its node."""
    driver = build()
    driver.start("f-1")
    cluster.run("f-1")
    driver.drain("f-1")
    driver.stop("f-1")
    assert (driver.list(), cluster.pods) == ((), {})


def test_fleets_and_others_do_not_meet(build: Build, cluster: FakeCluster) -> None:
    """What has another name or no label is not ours, and neither is another worker."""
    driver = build()
    for name in ("f-1", "f-2"):
        driver.start(name)
        cluster.run(name)
    build(name="g").start("g-1")
    driver.stop("f-1")
    assert driver.list() == (FleetMember("f-2"),)
    assert build(name="g").list() == (FleetMember("g-1", is_pending=True),)


def evict(cluster: FakeCluster) -> None:
    """As a node does that runs out of memory or disk."""
    cluster.end("f-1", phase="Failed", reason="Evicted", message="The node was low on memory.")


def run_out_of_memory(cluster: FakeCluster) -> None:
    """As the kernel does at a container's limit."""
    terminated = {"exitCode": 137, "reason": "OOMKilled"}
    states = [{"name": "worker", "state": {"terminated": terminated}}]
    cluster.end("f-1", phase="Failed", containerStatuses=states)


def refuse_the_token(cluster: FakeCluster) -> None:
    """As a worker ends that the server does not let in."""
    terminated = {"exitCode": 3, "reason": "Error"}
    states = [{"name": "worker", "state": {"terminated": terminated}}]
    cluster.end("f-1", phase="Failed", containerStatuses=states)


def lose_the_node(cluster: FakeCluster) -> None:
    """Its Job does not know yet."""
    cluster.lose_node("f-1")


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (evict, "Evicted: The node was low on memory."),
        (run_out_of_memory, "its container ended with exit status 137 (OOMKilled)"),
        (refuse_the_token, "its container ended with exit status 3 (Error)"),
        (lose_the_node, "DeletionByTaintManager: its node is unreachable"),
    ],
)
def test_a_worker_that_ended_badly_makes_room(
    build: Build,
    cluster: FakeCluster,
    happens: Callable[[FakeCluster], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The reason is logged once, the Job stays with its log, and its name can be used again."""
    driver = build()
    driver.start("f-1")
    cluster.run("f-1")
    happens(cluster)
    assert driver.list() == driver.list() == ()
    assert [each.message for each in caplog.records if said in each.message] == [
        f"f-1 (Job {cluster.job_of('f-1')['metadata']['name']}): {said}"
    ]
    driver.start("f-1")
    assert driver.list() == (FleetMember("f-1", is_pending=True),)
    assert len(cluster.jobs) == 2


def test_a_worker_that_does_not_begin_is_explained(
    build: Build, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Why there is no place for it, or no image, and not that an image is being fetched."""
    driver = build()
    driver.start("f-1")
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    cluster.bind("f-1", conditions=[{**full, "message": "0/3 nodes: Insufficient nvidia.com/gpu"}])
    assert driver.list() == (FleetMember("f-1", is_pending=True),)
    for reason in ("ContainerCreating", "ImagePullBackOff"):
        waiting = {"reason": reason, "message": "Back-off"}
        cluster.bind("f-1", containerStatuses=[{"state": {"waiting": waiting}}])
        assert driver.list() == (FleetMember("f-1"),)
    assert [each.message.partition(": ")[2] for each in caplog.records] == [
        "it has no place: 0/3 nodes: Insufficient nvidia.com/gpu",
        "its container does not start: ImagePullBackOff: Back-off",
    ]


def test_a_job_has_the_slots_that_the_fleet_counts_with(build: Build, cluster: FakeCluster) -> None:
    """The worker reads them as any setting of its own."""
    build(template(), slots=4).start("f-1")
    (worker,) = cluster.pod_of("f-1")["spec"]["containers"]
    assert {"name": "SEGTUNE_SLOTS", "value": "4"} in worker["env"]


def test_a_job_is_the_template_with_what_it_does_not_say(
    build: Build, cluster: FakeCluster
) -> None:
    """GPUs, CPUs, threads, server and time to end are filled in; nothing is ever repeated."""
    build(template(), gpus=2, cpus=3.5).start("f-1")
    job = cluster.job_of("f-1")
    pod, (worker,) = job["spec"]["template"]["spec"], cluster.pod_of("f-1")["spec"]["containers"]
    assert worker["resources"] == {"limits": {"nvidia.com/gpu": 2}, "requests": {"cpu": "3.5"}}
    assert worker["env"] == [
        {"name": "SEGTUNE_WORKER_NAME", "value": "f-1"},
        {"name": "SEGTUNE_SERVER", "value": "http://tune:8000"},
        {
            "name": "SEGTUNE_THREADS",
            "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}},
        },
        {"name": "SEGTUNE_GPUS", "value": "2"},
    ]
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert (pod["terminationGracePeriodSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (
        300,
        3600,
    )


def test_workers_log_as_the_fleet_does() -> None:
    """JSON where it was asked for; what a template says stays."""
    asked = WORKER.model_copy(update={"log_format": "json"})
    said = [{"name": "SEGTUNE_LOG_FORMAT", "value": "text"}]
    for said_by, worker, expected in (
        (template(), WORKER, []),
        (template(), asked, ["json"]),
        (template(env=said), asked, ["text"]),
    ):
        job = jobs.make(said_by, "f-1", "f", FLEET, worker)
        (made,) = job["spec"]["template"]["spec"]["containers"]
        found = [each["value"] for each in made["env"] if each["name"] == "SEGTUNE_LOG_FORMAT"]
        assert found == expected


def test_what_a_template_says_stays(build: Build, cluster: FakeCluster) -> None:
    """All but its repeating, its name and the worker's; the file is the operator's."""
    said = template(
        env=[
            {"name": "SEGTUNE_SERVER", "value": "http://inside:80"},
            {"name": "SEGTUNE_WORKER_NAME", "value": "x"},
            {"name": "SEGTUNE_DEVICE", "value": "auto"},
        ],
        resources={"limits": {"cpu": "8", "nvidia.com/mig-1g.10gb": 1}},
    )
    said["metadata"] = {"name": "x", "labels": {"team": "maps"}}
    said["spec"]["backoffLimit"] = 6
    said["spec"]["template"]["spec"] |= {"priorityClassName": "low", "restartPolicy": "OnFailure"}
    before = deepcopy(said)
    build(said, gpus=0).start("f-1")
    job = cluster.job_of("f-1")
    (worker,) = job["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in worker["env"]}
    assert worker["resources"]["limits"] == {"cpu": "8", "nvidia.com/mig-1g.10gb": 1}
    assert env.pop("SEGTUNE_THREADS", None) is None
    assert env == {
        "SEGTUNE_SERVER": "http://inside:80",
        "SEGTUNE_WORKER_NAME": "f-1",
        "SEGTUNE_DEVICE": "auto",
    }
    labels = {"team": "maps", "segtune/fleet": "f", "segtune/worker": "f-1"}
    assert job["metadata"]["labels"] == labels
    assert job["spec"]["template"]["spec"]["priorityClassName"] == "low"
    assert job["spec"]["backoffLimit"] == 0
    assert said == before


@pytest.mark.parametrize(
    ("changes", "values", "message"),
    [
        ({"kind": "Pod"}, {}, "does not hold one Job: kind"),
        ({"spec": {"template": {"spec": {}}}}, {}, r"spec\.template\.spec\.containers"),
        ({"spec": template(env=[{}])["spec"]}, {}, r"containers\.0\.env\.0\.name"),
        ({"spec": template(args=["--name", "w"])["spec"]}, {}, "take --name out"),
        (
            {"spec": template(resources={"limits": {"nvidia.com/gpu": 2}})["spec"]},
            {},
            r"nvidia.com/gpu: 2, and the fleet counts 1 GPU for a worker; make --gpus the same",
        ),
        ({}, {"gpus": 0.5}, "Kubernetes gives whole GPUs, and gpus is 0.5"),
        ({}, {"token": "t"}, "gets no token; set SEGTUNE_TOKEN from a Secret"),
        ({}, {"name": "f" * 61}, "it must have 60 characters at most"),
        ({}, {"name": "f."}, "end with a letter or a digit"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    build: Build, changes: dict[str, Any], values: dict[str, Any], message: str
) -> None:
    """Before a worker is started that would not reach its server, or be counted wrongly."""
    with pytest.raises(InvalidInput, match=message):
        build({**template(), **changes}, **values)


def test_a_server_that_no_pod_reaches_is_refused(tmp_path: Path) -> None:
    """The fleet may run beside its server, or through a tunnel; its workers do not."""
    file = tmp_path / "worker.yaml"
    file.write_text(yaml.safe_dump(template()))
    fleet = FleetSettings(driver="kubernetes", template=file, name="f")
    with pytest.raises(InvalidInput, match="set SEGTUNE_SERVER in its environment"):
        contract.load(fleet, WorkerSettings(server="http://127.0.0.1:8000"))


@pytest.mark.parametrize("content", [None, "a: [", "\x00", b"\xff"])
def test_a_template_that_cannot_be_read_is_named(
    tmp_path: Path, content: str | bytes | None
) -> None:
    """The file, and what is wrong with it."""
    file = tmp_path / "worker.yaml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    fleet = FleetSettings(driver="kubernetes", template=file, name="f")
    with pytest.raises(InvalidInput, match=r"worker\.yaml cannot be read"):
        contract.load(fleet, WorkerSettings())
    with pytest.raises(InvalidInput, match="--template"):
        contract.load(fleet.model_copy(update={"template": None}), WorkerSettings())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, 'jobs.batch is forbidden: User "u" cannot list resource "jobs"'),
        (500, "etcd is away"),
        (429, "too many requests"),
    ],
)
def test_what_the_cluster_refuses_is_said_in_its_words(
    build: Build, cluster: FakeCluster, status: int, message: str
) -> None:
    """In one error of ours, for each thing that a driver does."""
    driver = build()
    driver.start("f-1")
    cluster.refusal = Refused(status, message)
    for act in (driver.list, *(lambda act=act: act("f-1") for act in _acts(driver))):
        with pytest.raises(EngineError) as refused:
            act()
        assert f"{message} ({status})" in str(refused.value)


@pytest.mark.parametrize("answer", [{}, [], {"kind": "Status"}, "login"])
def test_what_is_not_a_list_is_not_an_empty_one(
    build: Build, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """A fleet that took it for one would start all its workers again."""
    monkeypatch.setattr(cluster, "answer", lambda *_: answer)
    with pytest.raises(EngineError, match="is not a list"):
        build().list()


def _acts(driver: FleetDriver) -> tuple[Callable[[str], None], ...]:
    return driver.start, driver.drain, driver.stop


def test_a_key_that_no_job_has_is_refused(build: Build) -> None:
    """A typing mistake is not left out silently."""
    driver = build({**template(), "spec": {**template()["spec"], "backofLimit": 0}})
    with pytest.raises(EngineError, match=r"does not start f-1: .*backofLimit"):
        driver.start("f-1")


def test_a_cluster_that_is_away_is_an_error_of_the_engine(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fleet keeps what it has; and a wrong token and a missing file are told apart from it."""
    file = tmp_path / "kubeconfig"
    address = yaml.safe_load(file.read_text())["clusters"][0]["cluster"]["server"]
    file.write_text(yaml.safe_dump(kubeconfig(address, token="another")))
    with pytest.raises(EngineError, match=r"Unauthorized \(401\)"):
        build().list()
    file.write_text(yaml.safe_dump(kubeconfig("http://127.0.0.1:9")))
    with pytest.raises(EngineError, match=r"does not list the workers: .*refused"):
        build().list()
    for content in ("", "a: [", "kind: Config"):
        file.write_text(content)
        with pytest.raises(EngineError, match="no Kubernetes cluster is configured"):
            build()
    file.unlink()
    with pytest.raises(EngineError, match="no Kubernetes cluster is configured"):
        build()


def test_the_role_of_the_manifests_is_enough(build: Build, cluster: FakeCluster) -> None:
    """What the driver asks for is what examples/kubernetes lets it do, and nothing more."""
    driver = build(token="t")
    for act in (lambda: driver.start("f-1"), driver.list, lambda: driver.drain("f-1")):
        act()
    driver.start("f-1")
    cluster.run("f-1")
    driver.stop("f-1")
    (role,) = of_kind("Role")
    allowed = {
        (verb, kind)
        for rule in role["rules"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    assert set(cluster.asked) == allowed


def test_a_fleet_in_a_pod_uses_its_service_account(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a KUBECONFIG, the cluster around it."""
    from kubernetes.config import incluster_config

    from workers.fleet import kubernetes

    for name, content in (("token", TOKEN), ("namespace", "lab\n"), ("ca.crt", "none")):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(kubernetes, "_NAMESPACE", tmp_path / "namespace")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    import kubernetes as client

    configuration, namespace = kubernetes._configured(client)
    assert (configuration.host, namespace) == ("https://10.0.0.1:443", "lab")
    assert configuration.get_api_key_with_prefix("BearerToken") == f"bearer {TOKEN}"


def test_the_template_of_the_manifests_works(build: Build, cluster: FakeCluster) -> None:
    """As it is, with a token and the default settings."""
    build(token="t").start("f-1")
    said = yaml.safe_load(text(TEMPLATE))["spec"]["template"]["spec"]
    (mine,), (worker,) = said["containers"], cluster.pod_of("f-1")["spec"]["containers"]
    assert worker["resources"] == mine["resources"]
    assert {each["name"] for each in worker["env"]} - {each["name"] for each in mine["env"]} == {
        "SEGTUNE_WORKER_NAME",
        "SEGTUNE_SERVER",
    }


def test_jobs_come_and_go_with_the_work(
    build: Build, cluster: FakeCluster, tmp_path: Path, sqlite_url: str
) -> None:
    """With a real server: none, one for its trial, another when that is lost, and none again."""
    settings = Settings(home=tmp_path, database_url=sqlite_url, upkeep_seconds=3600, port=0)
    driver = build()
    fleet = FleetSettings(driver="kubernetes", name="f", max=1, cooldown=0)
    with serving_api(settings) as live:
        worker = WorkerSettings(server=str(live.client.base_url), home=tmp_path)
        found = loop.fleet_of(driver, fleet, worker)

        def look() -> list[str]:
            plan = found.look()
            found.act(plan)
            return [line.partition(" (")[0] for line in loop.lines(plan)]

        assert look() == []
        assert live.client.post("/api/v1/studies", json=study()).status_code == 201
        assert look() == ["start f-1"]
        assert look() == []
        cluster.run("f-1")
        assert live.client.post("/api/v1/leases", json={"worker": "f-1"}).status_code == 200
        evict(cluster)
        assert look() == ["start f-2"]  # the lease of f-1 lives for a while
        changed = live.client.patch("/api/v1/studies/street", json={"state": "cancelled"})
        assert changed.status_code == 200
        assert look() == ["end f-2"]
        assert look() == []
        assert driver.list() == ()


def test_without_its_client_the_driver_says_what_to_install(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra, which a server and a worker do without."""
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(PackageMissing, match=r"pip install 'segtune\[kubernetes\]'"):
        build()


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"), st.integers(1, 32))
def test_every_name_is_refused_or_one_that_kubernetes_takes(name: str, number: int) -> None:
    """A Job's name is part of an address, and a worker's is a label."""
    worker = f"{name}-{number}"
    try:
        jobs.check(template(), name, FLEET, WORKER)
    except InvalidInput:
        return
    job = jobs.make(template(), worker, name, FLEET, WORKER)
    made = f"{job['metadata']['generateName']}x7k2p"
    assert re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", made)
    for label in (name, worker):
        assert re.fullmatch("[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", label)
    assert jobs.worker(job) == worker
