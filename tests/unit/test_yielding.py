"""Which trials make room for studies of higher priority: never more, never for an equal one."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tuner.service.yielding import HeldLease, Holder, Needy, choose

START = datetime(2026, 1, 1, tzinfo=UTC)
WORKERS = tuple(f"w{index}" for index in range(8))


@dataclass(frozen=True)
class Scene:
    """Studies that wait, and trials that run, one on each worker."""

    needy: tuple[Needy, ...]
    held: tuple[HeldLease, ...]

    def chosen(self) -> dict[str, int]:
        """What is decided."""
        return choose(self.needy, self.held)

    def lease(self, name: str) -> HeldLease:
        """The lease of that name."""
        return next(one for one in self.held if one.lease == name)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Studies 0 to 3 run trials and studies 10 to 12 wait, with priorities that meet."""
    priority, weight = st.integers(0, 3), st.sampled_from([0.5, 1.0, 2.0])
    facts = [(draw(priority), draw(weight)) for _ in range(4)]
    whose = [draw(st.integers(0, 3)) for _ in WORKERS]
    running = Counter(whose)
    needy = tuple(
        Needy(
            10 + index,
            draw(priority),
            draw(st.integers(1, 9)),
            draw(st.sets(st.sampled_from(WORKERS))),
        )
        for index in range(draw(st.integers(0, 3)))
    )
    held = tuple(
        HeldLease(
            lease=f"lease-{worker}",
            worker=worker,
            holder=Holder(study, facts[study][0], running[study], facts[study][1]),
            since=START + timedelta(minutes=draw(st.integers(0, 3))),
            is_leaving=draw(st.integers(0, 4)) == 0,
            may_yield=draw(st.integers(0, 4)) > 0,
            yields_to=draw(st.sampled_from([None, None, 10, 11, 12, 99])),
        )
        for worker, study in zip(WORKERS, whose, strict=True)
    )
    return Scene(needy, held)


def beats(study: Needy, one: HeldLease) -> bool:
    """Whether the study may have that trial's worker."""
    able = one.may_yield and not one.is_leaving and one.worker in study.fits
    return able and one.holder.priority < study.priority


@given(scenes())
def test_only_what_is_beaten_yields_and_never_more_than_is_wanted(scene: Scene) -> None:
    """Strictly lower priority, a worker that fits, no trial that leaves anyway or may not."""
    needy = {study.study: study for study in scene.needy}
    chosen = scene.chosen()
    assert all(beats(needy[by], scene.lease(name)) for name, by in chosen.items())
    assert all(count <= needy[by].wanted for by, count in Counter(chosen.values()).items())


@given(scenes())
def test_the_first_study_gets_all_that_it_can(scene: Scene) -> None:
    """As many as it wants, less those that leave anyway, if so many are beaten."""
    if not scene.needy:
        assert scene.chosen() == {}
        return
    first = max(scene.needy, key=lambda study: study.priority)
    leaving = sum(
        one.is_leaving and one.worker in first.fits and one.holder.priority < first.priority
        for one in scene.held
    )
    able = sum(beats(first, one) for one in scene.held)
    expected = min(max(0, first.wanted - leaving), able)
    assert Counter(scene.chosen().values())[first.study] == expected


@given(scenes())
def test_deciding_again_changes_nothing(scene: Scene) -> None:
    """Once the trials are asked, the same ones are asked for the same studies: nothing flaps."""
    chosen = scene.chosen()
    asked = tuple(one._replace(yields_to=chosen.get(one.lease)) for one in scene.held)
    assert Scene(scene.needy, asked).chosen() == chosen


@given(scenes())
def test_the_lowest_priority_yields_first(scene: Scene) -> None:
    """For one study that waits, nobody who is left could have been asked before one who was."""
    fresh = tuple(one._replace(yields_to=None) for one in scene.held)
    for study in scene.needy:
        chosen = choose([study], fresh)
        asked = [one.holder.priority for one in fresh if one.lease in chosen]
        spared = [
            one.holder.priority for one in fresh if one.lease not in chosen and beats(study, one)
        ]
        assert not asked or not spared or max(asked) <= min(spared)


@given(st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=2, max_size=4), st.integers(1, 12))
def test_equal_studies_give_in_the_ratio_of_their_weights(
    weights: list[float], wanted: int
) -> None:
    """Who gave cannot have been below another's share by more than its own last trial."""
    holders = [Holder(index, 10, 8, weight) for index, weight in enumerate(weights)]
    held = [
        HeldLease(f"{holder.study}-{index}", "w", holder, START)
        for holder in holders
        for index in range(holder.running)
    ]
    chosen = choose([Needy(99, 50, wanted, {"w"})], held)
    gave = Counter(int(lease.partition("-")[0]) for lease in chosen)
    assert gave.total() == wanted
    for giver in (holder for holder in holders if gave[holder.study]):
        before = (giver.running - gave[giver.study] + 1) / giver.weight
        others = [(each.running - gave[each.study]) / each.weight for each in holders]
        assert before >= max(others) - 1e-9


def test_of_one_study_the_trial_that_began_last_yields() -> None:
    """The others are nearer to their ends."""
    holder = Holder(1, 10, 2, 1.0)
    held = [
        HeldLease("new", "w1", holder, START + timedelta(hours=1)),
        HeldLease("old", "w2", holder, START),
    ]
    assert choose([Needy(2, 50, 1, WORKERS)], held) == {"new": 2}
