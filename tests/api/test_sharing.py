"""Answers that are shared: never older than the question, made once, and not too often."""

import asyncio
from collections.abc import Awaitable, Callable

from api.sharing import Shared
from tests.loops import in_a_loop

Made = Callable[[], Awaitable[int]]


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
    """The next turn keeps a distance in proportion to its cost; stopping ends the wait."""

    async def slow() -> int:
        await asyncio.sleep(0.001)
        return 1

    async def scene() -> tuple[bool, int]:
        shared = Shared[int](rest=1e6)
        await shared.get("page", slow)
        again = asyncio.create_task(shared.get("page", slow))
        await asyncio.sleep(0.005)
        rested = not again.done()
        shared.close()
        return rested, await again

    assert in_a_loop(scene()) == (True, 1)
