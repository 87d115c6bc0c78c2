import asyncio
import threading

import pytest

from api import waiting
from api.upkeep import repeated
from api.waiting import Bell

LONG = 30.0


@pytest.fixture
def slow_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make polls so rare that only rings end a wait."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 10 * LONG)


async def _open() -> Bell:
    bell = Bell()
    bell.open()
    return bell


async def _settled(bell: Bell, waiting: int) -> None:
    while bell.waiting != waiting:
        await asyncio.sleep(0)


def test_ring_wakes(slow_poll: None) -> None:
    """A ring ends a wait."""

    async def scene() -> None:
        bell = await _open()
        task = asyncio.create_task(bell.wait(bell.rings, LONG))
        await _settled(bell, 1)
        bell.ring()
        await asyncio.wait_for(task, LONG)
        assert bell.rings == 1

    asyncio.run(scene())


def test_ring_from_a_thread(slow_poll: None) -> None:
    """Routes run in threads; their rings arrive too."""

    async def scene() -> None:
        bell = await _open()
        task = asyncio.create_task(bell.wait(bell.rings, LONG))
        await _settled(bell, 1)
        thread = threading.Thread(target=bell.ring)
        thread.start()
        await asyncio.wait_for(task, LONG)
        thread.join()
        assert bell.waiting == 0

    asyncio.run(scene())


def test_no_ring_is_missed(slow_poll: None) -> None:
    """A ring between looking and waiting ends the wait at once."""

    async def scene() -> None:
        bell = await _open()
        rings = bell.rings
        bell.ring()
        await asyncio.sleep(0)
        await asyncio.wait_for(bell.wait(rings, LONG), 1)
        assert bell.rings == rings + 1

    asyncio.run(scene())


def test_ring_wakes_the_first(slow_poll: None) -> None:
    """One place that became free wakes those who have waited longest, not the whole fleet."""

    async def scene() -> None:
        bell = await _open()
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(bell.wait(bell.rings, LONG)))
            await _settled(bell, number + 1)
        bell.ring(2)
        await asyncio.gather(*tasks[:2])
        assert [task.done() for task in tasks] == [True, True, False, False, False]
        bell.close()
        await asyncio.gather(*tasks)

    asyncio.run(scene())


def test_close_ends_every_wait(slow_poll: None) -> None:
    """After closing nobody waits, neither those who did nor those who come."""

    async def scene() -> None:
        bell = await _open()
        task = asyncio.create_task(bell.wait(bell.rings, LONG))
        await _settled(bell, 1)
        bell.close()
        await asyncio.wait_for(task, LONG)
        await asyncio.wait_for(bell.wait(bell.rings, LONG), 1)
        assert bell.is_closed

    asyncio.run(scene())


def test_poll_ends_a_wait() -> None:
    """Without a ring a wait ends by itself, so that other processes' changes are seen."""

    async def scene() -> None:
        bell = await _open()
        await asyncio.wait_for(bell.wait(bell.rings, 0.01), LONG)
        assert bell.waiting == 0

    asyncio.run(scene())


def test_cancelled_wait_is_forgotten(slow_poll: None) -> None:
    """A caller that goes away leaves nothing behind."""

    async def scene() -> None:
        bell = await _open()
        task = asyncio.create_task(bell.wait(bell.rings, LONG))
        await _settled(bell, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert bell.waiting == 0

    asyncio.run(scene())


def test_upkeep_runs_again_and_again() -> None:
    """The duty is done until the server stops, though one round fails."""
    rounds = threading.Semaphore(0)

    def duty() -> int:
        rounds.release()
        raise OSError("the disk is full")

    with repeated(duty, seconds=0.001):
        done = [rounds.acquire(timeout=10) for _ in range(3)]

    assert done == [True, True, True]
