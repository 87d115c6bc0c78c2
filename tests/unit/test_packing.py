"""Whether a worker takes another trial, decided from what was measured."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.packing import (
    SPARE,
    Amounts,
    Division,
    Occupant,
    Pool,
    SlotLimit,
    divided,
    fits,
    largest,
    presumed,
)

GIB = 1024.0
EIGHTY = {"device": Pool(80 * GIB, 80 * GIB), "host": Pool(128 * GIB, 100 * GIB)}
AMOUNTS = st.fixed_dictionaries(
    {"device": st.floats(1, 60_000), "host": st.floats(1, 60_000)},
)


def after(trials: list[Amounts], *, free: float) -> Mapping[str, Pool]:
    """An 80 GB device and its host once these trials hold what they need."""
    held = {name: sum(need[name] for need in trials) for name in EIGHTY}
    return {
        name: Pool(pool.total, (free if name == "device" else pool.free) - held[name])
        for name, pool in EIGHTY.items()
    }


def test_an_empty_device_takes_any_trial() -> None:
    """There is always one trial, whatever was measured, and where nothing can be."""
    assert fits({"device": 10_000 * GIB, "host": 0}, EIGHTY, [])
    assert fits({}, {}, [])


def test_another_comes_once_the_first_is_measured() -> None:
    """Beside one whose need is not known nobody starts, however much is free."""
    small = {"device": 4 * GIB, "host": 3 * GIB}
    assert not fits(small, EIGHTY, [Occupant(None)])
    assert fits(small, EIGHTY, [Occupant(small)])


def test_what_others_hold_on_the_device_counts() -> None:
    """Free is what the device has left, whoever took the rest."""
    need = {"device": 10 * GIB, "host": 1 * GIB}
    there = [Occupant(need, need)]
    assert fits(need, after([need], free=80 * GIB), there)
    assert not fits(need, after([need], free=24 * GIB), there)


def test_what_a_trial_has_still_to_take_is_not_given_away() -> None:
    """A trial that has just started needs all that its like has needed."""
    need = {"device": 30 * GIB, "host": 1 * GIB}
    assert fits(need, {**EIGHTY, "device": Pool(80 * GIB, 50 * GIB)}, [Occupant(need, need)])
    assert not fits(need, {**EIGHTY, "device": Pool(80 * GIB, 50 * GIB)}, [Occupant(need)])


def test_the_hosts_memory_counts_too() -> None:
    """A device with room for twenty trials is no use to a machine with memory for two."""
    need = {"device": 2 * GIB, "host": 60 * GIB}
    assert not fits(need, after([need], free=80 * GIB), [Occupant(need, need)])


@pytest.mark.parametrize("need", [{}, {"host": 1.0}, {"device": 1.0}, {"device": float("nan")}])
def test_what_is_not_known_does_not_fit(need: Amounts) -> None:
    """Nothing is packed by a need that was not measured in every pool."""
    known = {"device": 1.0, "host": 1.0}
    assert not fits(need, EIGHTY, [Occupant(known, known)])
    assert not fits(known, EIGHTY, [Occupant(need, need)])


def test_without_a_driver_nobody_joins() -> None:
    """Where the memory cannot be looked at, a worker trains one trial."""
    known = {"host": 1.0}
    assert not fits(known, {}, [Occupant(known, known)])


@given(
    needs=st.lists(AMOUNTS, min_size=1, max_size=30),
    others=st.floats(0, 40 * GIB),
    started=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_what_was_measured_never_exceeds_a_device(
    needs: list[Amounts], others: float, started: list[bool]
) -> None:
    """With the share that stays free, in whatever order trials come and reach what they need."""
    there: list[Occupant] = []
    for need, has_started in zip(needs, started, strict=False):
        pools = after([each.held for each in there if each.held], free=80 * GIB - others)
        if fits(need, pools, there):
            there.append(Occupant(need, need if has_started else {}))
    if len(there) > 1:
        for name, free in (("device", 80 * GIB - others), ("host", 100 * GIB)):
            total = EIGHTY[name].total
            assert sum((each.need or {})[name] for each in there) <= free - SPARE * total + 1e-6
    assert there


@given(needs=st.lists(AMOUNTS, min_size=1, max_size=6), less=AMOUNTS, share=st.floats(0, 1))
def test_less_need_or_more_memory_never_hurts(
    needs: list[Amounts], less: Amounts, share: float
) -> None:
    """Where a trial fits, a smaller one does, and on a device with more free."""
    there = [Occupant(need, need) for need in needs[1:]]
    tight = {name: Pool(pool.total, pool.free * share) for name, pool in EIGHTY.items()}
    if fits(needs[0], tight, there):
        assert fits(needs[0], EIGHTY, there)
        assert fits({name: min(less[name], needs[0][name]) for name in less}, tight, there)


def test_an_unknown_trial_is_taken_for_the_largest_of_its_study() -> None:
    """Without one, for half of the device, and of the host for the most of any trial."""
    study, met = {"device": 9.0, "host": 2.0}, {"device": 5.0, "host": 3.0}
    assert presumed(EIGHTY, study, met) == study
    assert presumed(EIGHTY, {}, met) == {"device": 40 * GIB, "host": 3.0}
    assert presumed({"host": Pool(16 * GIB, 9 * GIB)}, {}, {"host": 3.0}) == {"host": 8 * GIB}


def test_the_largest_of_several() -> None:
    """Pool by pool, and nothing of none."""
    assert largest([{"device": 1.0}, {"device": 3.0, "host": 2.0}]) == {"device": 3.0, "host": 2.0}
    assert largest([]) == {}


def test_slots_are_halved_and_come_back_slowly() -> None:
    """Four, two after a setback, three only after more trials than one usually waits for."""
    limit = SlotLimit.begin(4).ran_out(4)
    assert limit.now == 2
    for _ in range(limit.patience - 1):
        limit = limit.ended_well()
    assert limit.now == 2
    assert limit.ended_well().now == 3


@given(
    most=st.integers(1, 64),
    happens=st.lists(st.one_of(st.none(), st.integers(1, 64)), max_size=400),
)
def test_slots_stay_within_their_bounds(most: int, happens: list[int | None]) -> None:
    """Never none, never more than allowed; running out never leads to more, nor to as many."""
    limit = SlotLimit.begin(most)
    for trials in happens:
        before = limit
        limit = limit.ended_well() if trials is None else limit.ran_out(trials)
        assert 1 <= limit.now <= most
        if trials is None:
            assert limit.now - before.now in {0, 1}
        else:
            assert limit.now <= before.now
            assert limit.now < trials or trials == 1
            assert limit.patience >= before.patience


@pytest.mark.parametrize(
    ("slots", "cores", "threads", "is_gpu", "found"),
    [
        (1, 16, None, False, Division(1, 16)),  # as ever
        (1, 16, 3, False, Division(1, 3)),
        (4, 16, None, True, Division(4, 4)),
        (4, 2, None, False, Division(4, 1)),
        (None, 16, None, False, Division(4, 4)),
        (None, 2, None, False, Division(2, 1)),
        (None, 1, None, True, Division(1, 1)),
        (None, 12, None, True, Division(12, 3)),
        (None, 128, None, True, Division(16, 32)),
        (None, 16, 1, False, Division(16, 1)),
        (None, 4, 16, False, Division(1, 16)),
    ],
)
def test_cores_are_divided(
    slots: int | None, cores: int, threads: int | None, is_gpu: bool, found: Division
) -> None:
    """On a CPU as many trials as have threads of their own, on a GPU a core for each."""
    assert divided(slots, cores, threads, is_gpu=is_gpu) == found
