"""Answers that are shared: never older than the question, made once, and not too often."""

import asyncio

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from api.sharing import Budget, Shared
from tests.loops import in_a_loop

REST, SHARE = 0.4, 0.5  # of live pages


class Kitchen:
    """Makes numbered answers, each only when it is told to end."""

    def __init__(self) -> None:
        self.begun = 0
        self._may_end = asyncio.Semaphore(0)

    async def make(self) -> int:
        """The number of this answer, from 1."""
        self.begun += 1
        number = self.begun
        await self._may_end.acquire()
        return number

    def end(self) -> None:
        """Let one answer be ready."""
        self._may_end.release()


async def turns(count: int = 10) -> None:
    """Let everything happen that can happen by now."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_those_who_ask_together_share_one_answer() -> None:
    """Twenty questions at the same time are one turn."""

    async def scene() -> list[int]:
        kitchen, shared = Kitchen(), Shared[int]()
        asking = [asyncio.create_task(shared.get("page", kitchen.make)) for _ in range(20)]
        await turns()
        kitchen.end()
        return await asyncio.gather(*asking)

    assert in_a_loop(scene()) == [1] * 20


def test_an_answer_that_has_begun_is_too_old_for_a_new_question() -> None:
    """Who asks during a turn gets the next one's answer, one for all of them."""

    async def scene() -> tuple[int, list[int], int]:
        kitchen, shared = Kitchen(), Shared[int]()
        first = asyncio.create_task(shared.get("page", kitchen.make))
        await turns()
        late = [asyncio.create_task(shared.get("page", kitchen.make)) for _ in range(5)]
        await turns()
        begun = kitchen.begun
        kitchen.end()
        kitchen.end()
        return begun, [await first, *await asyncio.gather(*late)], kitchen.begun

    assert in_a_loop(scene()) == (1, [1, 2, 2, 2, 2, 2], 2)


def test_different_questions_do_not_wait_for_each_other() -> None:
    """Each question has turns of its own."""

    async def scene() -> int:
        kitchen, shared = Kitchen(), Shared[int]()
        asking = [asyncio.create_task(shared.get(name, kitchen.make)) for name in "abc"]
        await turns()
        begun = kitchen.begun
        for _ in asking:
            kitchen.end()
        await asyncio.gather(*asking)
        return begun

    assert in_a_loop(scene()) == 3


def test_no_more_are_in_the_making_than_have_a_place() -> None:
    """A third question waits until one of two is answered, and takes others in meanwhile."""

    async def scene() -> tuple[int, list[int]]:
        kitchen, shared = Kitchen(), Shared[int](at_once=2)
        asking = [asyncio.create_task(shared.get(name, kitchen.make)) for name in "abcc"]
        await turns()
        begun = kitchen.begun
        for _ in range(3):
            kitchen.end()
        return begun, sorted(await asyncio.gather(*asking))

    assert in_a_loop(scene()) == (2, [1, 2, 3, 3])


def test_who_goes_away_does_not_end_it_for_the_others() -> None:
    """The one who asked first may close the page."""

    async def scene() -> int:
        kitchen, shared = Kitchen(), Shared[int]()
        first, second = (asyncio.create_task(shared.get("page", kitchen.make)) for _ in range(2))
        await turns()
        first.cancel()
        await turns()
        kitchen.end()
        return await second

    assert in_a_loop(scene()) == 1


def test_a_failure_reaches_all_and_the_next_question_tries_again() -> None:
    """An error is an answer of that turn alone."""

    async def fail() -> int:
        raise ValueError("no")

    async def scene() -> tuple[list[str], int]:
        kitchen, shared = Kitchen(), Shared[int]()
        asking = [shared.get("page", fail) for _ in range(3)]
        failed = await asyncio.gather(*asking, return_exceptions=True)
        kitchen.end()
        return [str(each) for each in failed], await shared.get("page", kitchen.make)

    assert in_a_loop(scene()) == (["no"] * 3, 1)


def test_a_question_rests_after_its_turn_until_the_server_stops() -> None:
    """The next turn keeps a distance, while a new question does not wait; stopping ends it."""

    async def quick() -> int:
        return 1

    async def scene() -> tuple[bool, int, int]:
        shared = Shared[int](rest=4.0)
        await shared.get("page", quick)
        again = asyncio.create_task(shared.get("page", quick))
        new = await shared.get("other page", quick)
        await turns()
        rested = not again.done()
        shared.close()
        return rested, new, await again

    assert in_a_loop(scene()) == (True, 1, 1)


def played(costs: list[float], *, seconds: float = 60.0) -> tuple[float, float]:
    """Pages that are asked again as soon as they are answered, made by one processor.

    Gives what the work took of all time, and the longest time for which the budget let one wait.
    """
    budget, clock, worked, longest = Budget(SHARE), 0.0, 0.0, 0.0
    wanted = [(0.0, index) for index in range(len(costs))]
    while clock < seconds:
        at, index = min(wanted)
        clock = max(clock, at)
        budget.begin(clock)
        clock += costs[index]
        budget.end(clock)
        worked += costs[index]
        longest = max(longest, budget.wait(clock))
        wanted[index] = (clock + max(REST, budget.wait(clock)), index)
    return worked / clock, longest


COSTS = st.floats(0.005, 0.3)


@given(st.lists(COSTS, min_size=1, max_size=15))
def test_pages_that_need_less_than_their_share_only_rest_a_moment(costs: list[float]) -> None:
    """A dozen viewers who look at different things do not slow each other down."""
    assume(sum(cost / (cost + REST) for cost in costs) < SHARE)
    _, longest = played(costs)

    assert longest <= REST


@given(st.lists(COSTS, min_size=1, max_size=40))
def test_pages_together_take_no_more_than_their_share(costs: list[float]) -> None:
    """However many there are: what remains beyond it is the burst and one round of all."""
    taken, _ = played(costs)

    assert taken <= SHARE + (1.0 + sum(costs)) / 60.0


@given(st.lists(st.floats(0.01, 0.5), min_size=1, max_size=5))
def test_works_at_the_same_time_count_once(costs: list[float]) -> None:
    """They share one interpreter: together they take as long as the longest."""
    together, alone = Budget(SHARE, burst=0.0), Budget(SHARE, burst=0.0)
    for _ in costs:
        together.begin(1.0)
    for cost in sorted(costs):
        together.end(1.0 + cost)
    alone.begin(1.0)
    alone.end(1.0 + max(costs))

    now = 1.0 + max(costs)
    assert together.wait(now) == pytest.approx(alone.wait(now))
