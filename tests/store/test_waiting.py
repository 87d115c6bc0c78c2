"""A study that no worker can train says why it waits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.service import assignments, overview, studies
from tuner.service.demands import Member, fits, waiting_for
from tuner.service.summaries import GONE_AFTER
from tuner.spec.messages import Assignment, Capabilities, Device, LeaseRequest
from tuner.spec.study import Resources
from tuner.spec.views import StudyChange
from tuner.store.engine import Database


def member(
    name: str,
    kind: str = "cpu",
    memory: float | None = None,
    *,
    unfit: str | None = None,
    **labels: str,
) -> Member:
    """A worker that is there."""
    device = Device(kind=kind, memory_gb=memory)
    return Member(name, Capabilities(device=device, labels=labels), unfit)


PAIR = Member("g3", Capabilities(device=Device(kind="cuda"), gpus=2))
CPU, SMALL, LARGE = member("c1"), member("g1", "cuda", 10.7), member("g2", "cuda", 79.2, site="b")


@pytest.mark.parametrize(
    ("asked", "fleet", "told"),
    [
        ({}, [], "no worker is there; start one with `segtune worker`"),
        ({}, [CPU], None),
        ({"gpus": 1}, [CPU, member("c2")], "it asks for a GPU, and no worker has one"),
        ({"gpus": 1}, [CPU, SMALL], None),
        (
            {"gpus": 4},
            [CPU, PAIR],
            "it asks for 4 GPUs for each trial, and no worker gives more than 2 (g3); start one: "
            "`segtune worker --gpus 4`",
        ),
        ({"gpus": 2}, [SMALL, PAIR], None),
        (
            {"gpus": 1, "memory_gb": 24},
            [CPU, SMALL],
            "it asks for 24 GB of device memory, and no worker that meets its other demands has "
            "more than 10.7 GB (g1)",
        ),
        (
            {"memory_gb": 100},
            [SMALL, LARGE],
            "it asks for 100 GB of device memory, and no worker has more than 79.2 GB (g2)",
        ),
        (
            {"memory_gb": 1},
            [CPU],
            "it asks for 1 GB of device memory, and no worker has a device that says its memory",
        ),
        ({"memory_gb": 24}, [SMALL, LARGE], None),
        (
            {"labels": {"site": "a"}},
            [SMALL, LARGE],
            "it asks for the label site=a, and no worker has it; there is site=b",
        ),
        (
            {"labels": {"rack": "7"}},
            [CPU],
            "it asks for the label rack=7, and no worker has it",
        ),
        (
            {"memory_gb": 5, "labels": {"site": "b", "rack": "7"}},
            [SMALL, LARGE, member("c3", rack="7")],
            "it asks for the label rack=7, and no worker that meets its other demands has it",
        ),
        (
            {},
            [member("c1", unfit="the cache is full")],
            "the only worker that could train it is unfit: c1: the cache is full",
        ),
        ({}, [member("c1", unfit="the cache is full"), member("c2")], None),
        (
            {"gpus": 1},
            [member("g1", "cuda", unfit="no such folder /data"), CPU],
            "the only worker that could train it is unfit: g1: no such folder /data",
        ),
        (
            {},
            [member(f"c{n}", unfit="no disk") for n in range(5)],
            "all workers that could train it are unfit: c0: no disk; c1: no disk; c2: no disk; "
            "and 2 more",
        ),
    ],
)
def test_what_is_missing_is_named(asked: Any, fleet: list[Member], told: str | None) -> None:
    """The demand that nobody meets, what the best of them has, or why those who could do not."""
    assert waiting_for(Resources.model_validate(asked), fleet) == told


labels = st.dictionaries(st.sampled_from(["site", "rack"]), st.sampled_from(["a", "b"]))
devices = st.builds(
    Device,
    kind=st.sampled_from(["cpu", "cuda", "mps"]),
    memory_gb=st.none() | st.sampled_from([8.0, 16.0]),
)
members = st.lists(
    st.builds(
        Member,
        st.just("w"),
        st.builds(Capabilities, device=devices, labels=labels, gpus=st.integers(1, 3)),
        st.none() | st.just("broken"),
    ),
    max_size=4,
)
demands = st.builds(
    Resources,
    gpus=st.integers(0, 4),
    memory_gb=st.none() | st.sampled_from([8.0, 12.0, 32.0]),
    labels=labels,
)


@given(asked=demands, fleet=members)
def test_a_study_waits_exactly_while_nobody_fits(asked: Resources, fleet: list[Member]) -> None:
    """What is said and what is leased go by the same rule."""
    someone = any(fits(asked, one.capabilities) and one.unfit is None for one in fleet)
    assert (waiting_for(asked, fleet) is None) == someone


def ask(fleet: Fleet, one: Member) -> Assignment | None:
    """Ask for a trial as this worker."""
    request = LeaseRequest(worker=one.name, capabilities=one.capabilities)
    return assignments.take(fleet.db, request, lease_seconds=LEASE_SECONDS, searches=fleet.searches)


def waits(fleet: Fleet) -> str | None:
    """Why the study waits, as the study and the list of studies both say."""
    view = overview.study(fleet.db, "streets")
    assert [one.waiting_for for one in overview.studies(fleet.db).items] == [view.waiting_for]
    return view.waiting_for


def test_the_views_say_why_a_study_waits(clocked_database: Database, clock: Clock) -> None:
    """From the first worker that asks to the last that has gone."""
    fleet = Fleet(clocked_database)
    assert fleet.submit(spec(resources={"gpus": 1})).waiting_for is not None
    assert waits(fleet) == "no worker is there; start one with `segtune worker`"
    assert ask(fleet, CPU) is None
    assert waits(fleet) == "it asks for a GPU, and no worker has one"
    held = ask(fleet, SMALL)
    assert held is not None
    assert waits(fleet) is None
    clock.advance(GONE_AFTER.total_seconds() + 1)
    assert waits(fleet) is None, "a trial is being trained"
    fleet.train(held)
    assert waits(fleet) is None, "its worker was seen just now"
    clock.advance(GONE_AFTER.total_seconds() + 1)
    assert waits(fleet) == "no worker is there; start one with `segtune worker`"


def test_a_study_that_wants_no_worker_waits_for_none(clocked_database: Database) -> None:
    """Paused and ended studies have another reason to stand still."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    assert waits(fleet) is not None
    studies.change(fleet.db, "streets", StudyChange(state="paused"))
    assert waits(fleet) is None
    studies.change(fleet.db, "streets", StudyChange(state="cancelled"))
    assert waits(fleet) is None


def test_a_study_whose_places_are_taken_does_not_wait(clocked_database: Database) -> None:
    """`parallel` reached is no lack of workers."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={"sampler": "random", "pruner": "none", "trials": 8, "parallel": 1}))
    assert ask(fleet, CPU) is not None
    assert ask(fleet, SMALL) is None
    assert waits(fleet) is None
