"""Where a study's models are to run: what it may say, what that allows, what is wrong with it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import document
from tuner.configs import checks
from tuner.errors import InvalidSpec
from tuner.search.analysis import known_violations, violations
from tuner.service.demands import Member, waiting_for
from tuner.service.deployments import role_of
from tuner.spec.deployment import Deployment, Measurements
from tuner.spec.messages import Capabilities, Device
from tuner.spec.metrics import MEASURED, MINIMIZED
from tuner.spec.study import Constraint, Objective, Resources, StudySpec

METRICS = [*MEASURED]


def problems(**changes: Any) -> str:
    """What is wrong with a study, in words; empty if nothing is."""
    try:
        checks.parse(document(**changes))
    except InvalidSpec as error:
        return str(error)
    return ""


def test_what_is_measured_has_a_metric_each() -> None:
    """The message, the names that a study may use, and their units are one list."""
    assert tuple(Measurements.model_fields) == tuple(MEASURED)


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_needs_a_place(metric: str) -> None:
    """As an objective and as a constraint it is refused without one, and told how to say it."""
    objectives = [{"metric": "miou"}, {"metric": metric}]
    constraints = [{"metric": metric, "min": 1}]
    for changes in ({"objectives": objectives}, {"constraints": constraints}):
        assert f"{metric} is measured where the model is to run" in problems(**changes)
        assert "add deployment: {device: cpu}" in problems(**changes)
        assert problems(**changes, deployment={"device": "cpu"}) == ""


@pytest.mark.parametrize("metric", METRICS)
def test_the_direction_follows_from_the_metric(metric: str) -> None:
    """Left out it is the right one; the wrong one is refused."""
    right = Objective.model_validate({"metric": metric}).direction
    assert right == ("maximize" if metric == "throughput" else "minimize")
    assert (right == "minimize") == (metric in MINIMIZED)
    wrong = "minimize" if right == "maximize" else "maximize"
    objectives = [{"metric": metric, "direction": wrong}]
    assert f"write {right}" in problems(objectives=objectives, deployment={})


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        ({"device": "tpu"}, "deployment.device: input should be 'cpu' or 'cuda', not 'tpu'"),
        ({"size": [8, 64]}, "deployment.size.0"),
        ({"precision": "int8"}, "deployment.precision: int8 is run by onnxruntime; add runtime: "),
        ({"precision": "int8", "device": "cuda"}, "write device: cpu, runtime: onnxruntime"),
        ({"runtime": "onnxruntime", "precision": "fp16"}, "on cpu use fp32 or int8"),
        ({"runtime": "onnxruntime", "precision": "bf16"}, "no convolution in bf16"),
        (
            {"runtime": "onnxruntime", "precision": "int8", "device": "cuda"},
            "int8 is for device: cpu; with runtime onnxruntime on cuda use fp32 or fp16",
        ),
        ({"device": "cuda", "threads": 4}, "threads are those of a CPU"),
        ({"resolution": [64, 64]}, "deployment.resolution"),
        ("cpu", "deployment"),
    ],
)
def test_a_place_that_cannot_be_is_refused(deployment: Any, words: str) -> None:
    """The message names the key; that there is no place is not said where one is wrong."""
    constraints = [{"metric": "latency_ms", "max": 30}]
    found = problems(deployment=deployment, constraints=constraints)
    assert words in found
    assert "add deployment" not in found


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_what_is_proposed_in_place_of_a_precision_is_taken(device: str, runtime: str) -> None:
    """Each precision is taken, or refused with others that are."""
    places = {
        precision: {"device": device, "runtime": runtime, "precision": precision}
        for precision in ("fp32", "fp16", "bf16", "int8")
    }
    said = {precision: problems(deployment=place) for precision, place in places.items()}
    assert said["fp32"] == ""
    for reason in filter(None, said.values()):
        proposed = reason.rpartition(" use ")[2].replace(" or ", ", ").split(", ")
        assert proposed == [precision for precision, text in said.items() if not text]


def test_a_bound_that_nothing_keeps_is_refused() -> None:
    """No network takes no time; and what is measured is not a share of 1."""
    bound = {"metric": "latency_ms", "max": 0}
    assert "latency_ms is above 0" in problems(constraints=[bound], deployment={})
    assert problems(constraints=[{"metric": "throughput", "min": 30}], deployment={}) == ""


def test_a_name_that_is_nearly_right_is_hinted_at() -> None:
    """As for every other metric."""
    found = problems(objectives=[{"metric": "latency"}], deployment={})
    assert "latency_ms" in found


def test_a_study_without_one_is_stored_as_before() -> None:
    """Releases that do not know the key never see it, and their documents are read."""
    plain = StudySpec.model_validate(document())
    assert "deployment" not in plain.dump()
    assert StudySpec.model_validate({**plain.dump(), "deployment": None}) == plain
    placed = StudySpec.model_validate(document(deployment={"threads": 2}))
    assert StudySpec.model_validate(placed.dump()) == placed
    assert placed.deployed == Deployment(size=(32, 32), threads=2)


@pytest.mark.parametrize(
    ("deployment", "threads"), [({}, 1), ({"threads": 4}, 4), ({"device": "cuda"}, None)]
)
def test_the_threads_are_part_of_what_is_asked(
    deployment: dict[str, Any], threads: int | None
) -> None:
    """What a study leaves open is one thread of a CPU, in the key too: not each worker's own."""
    spec = StudySpec.model_validate(document(deployment=deployment))
    assert spec.deployed is not None
    assert spec.deployed.threads == threads
    assert ("threads" in spec.deployed.key) is (threads is not None)


deployments = st.builds(
    Deployment,
    device=st.sampled_from(["cpu", "cuda"]),
    precision=st.sampled_from(["fp32", "bf16"]),
    size=st.tuples(st.integers(16, 18), st.integers(16, 18)),
    threads=st.none() | st.integers(1, 2),
)


@given(deployments, deployments)
def test_two_places_have_one_key_only_if_they_are_one(one: Deployment, other: Deployment) -> None:
    """The key is what measurements are found by; a row has room for it."""
    assert (one.key == other.key) == (one == other)
    assert len(one.key) <= 100


bounds = st.lists(
    st.builds(
        Constraint, metric=st.sampled_from(["miou", "latency_ms", "macs"]), max=st.floats(-1, 9)
    ),
    max_size=4,
)


@given(bounds, st.dictionaries(st.sampled_from(["miou", "latency_ms", "macs"]), st.floats(0, 10)))
def test_what_is_known_to_break_breaks(
    constraints: list[Constraint], metrics: dict[str, float]
) -> None:
    """Never by more than all that is there says, and only for what is measured."""
    known, whole = known_violations(constraints, metrics), violations(constraints, metrics)
    assert len(known) == len(whole)
    for bound, part, found in zip(constraints, known, whole, strict=True):
        assert part <= found
        if bound.metric == "miou":
            assert part == 0


def member(name: str, kind: str, unfit: str | None = None) -> Member:
    """A worker with a device of that kind."""
    return Member(name, Capabilities(device=Device(kind=kind)), unfit)


@pytest.mark.parametrize(
    ("fleet", "told"),
    [
        ([member("g1", "cuda")], "its models are to run on cpu, and no worker is there that can"),
        ([member("c1", "cpu", "no disk"), member("g1", "cuda")], "c1 is unfit: no disk"),
        ([member("c1", "cpu"), member("g1", "cuda")], None),
        ([member("c1", "cpu")], "it asks for a GPU"),
        ([], "no worker is there"),
    ],
)
def test_a_study_says_whom_it_waits_for(fleet: list[Member], told: str | None) -> None:
    """One that measures on a CPU and trains on GPUs needs both."""
    found = waiting_for(Resources(gpus=1), fleet, Deployment(device="cpu"))
    assert found is None if told is None else told in (found or "")


@pytest.mark.parametrize(
    ("kind", "role"), [("cpu", (False, True)), ("cuda", (True, False)), ("mps", (True, False))]
)
def test_a_worker_has_a_role(kind: str, role: tuple[bool, bool]) -> None:
    """It trains what meets the study's demands, and measures on the class of its own device."""
    spec = StudySpec.model_validate(document(deployment={}, resources={"gpus": 1}))
    assert role_of(spec, Capabilities(device=Device(kind=kind))) == role
    plain = StudySpec.model_validate(document())
    assert role_of(plain, Capabilities(device=Device(kind=kind))) == (True, True)
