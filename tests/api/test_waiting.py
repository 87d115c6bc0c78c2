import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api import waiting
from api.settings import Settings
from api.upkeep import repeated
from api.waiting import Notifier
from tests.api.samples import serving, study
from tests.loops import in_a_loop

LONG = 30.0


@pytest.fixture
def slow_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make polls so rare that only notifications end a wait."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 10 * LONG)


async def _open() -> Notifier:
    notifier = Notifier()
    notifier.open()
    return notifier


async def _settled(notifier: Notifier, waiting: int) -> None:
    while notifier.waiting != waiting:
        await asyncio.sleep(0)


def test_notify_wakes(slow_poll: None) -> None:
    """A notification ends a wait."""

    async def scene() -> None:
        notifier = await _open()
        task = asyncio.create_task(notifier.wait(notifier.version, LONG))
        await _settled(notifier, 1)
        notifier.notify()
        await asyncio.wait_for(task, LONG)
        assert notifier.version == 1

    in_a_loop(scene())


def test_notify_from_a_thread(slow_poll: None) -> None:
    """Routes run in threads; their notifications arrive too."""

    async def scene() -> None:
        notifier = await _open()
        task = asyncio.create_task(notifier.wait(notifier.version, LONG))
        await _settled(notifier, 1)
        thread = threading.Thread(target=notifier.notify)
        thread.start()
        await asyncio.wait_for(task, LONG)
        thread.join()
        assert notifier.waiting == 0

    in_a_loop(scene())


def test_no_notification_is_missed(slow_poll: None) -> None:
    """A notification between looking and waiting ends the wait at once."""

    async def scene() -> None:
        notifier = await _open()
        version = notifier.version
        notifier.notify()
        await asyncio.sleep(0)
        await asyncio.wait_for(notifier.wait(version, LONG), 1)
        assert notifier.version == version + 1

    in_a_loop(scene())


def test_notify_wakes_the_first(slow_poll: None) -> None:
    """One place that became free wakes those who have waited longest, not the whole fleet."""

    async def scene() -> None:
        notifier = await _open()
        tasks = []
        for number in range(5):
            tasks.append(asyncio.create_task(notifier.wait(notifier.version, LONG)))
            await _settled(notifier, number + 1)
        notifier.notify(2)
        await asyncio.gather(*tasks[:2])
        assert [task.done() for task in tasks] == [True, True, False, False, False]
        notifier.close()
        await asyncio.gather(*tasks)

    in_a_loop(scene())


def test_close_ends_every_wait(slow_poll: None) -> None:
    """After closing nobody waits, neither those who did nor those who come."""

    async def scene() -> None:
        notifier = await _open()
        task = asyncio.create_task(notifier.wait(notifier.version, LONG))
        await _settled(notifier, 1)
        notifier.close()
        await asyncio.wait_for(task, LONG)
        await asyncio.wait_for(notifier.wait(notifier.version, LONG), 1)
        assert notifier.is_closed

    in_a_loop(scene())


def test_poll_ends_a_wait() -> None:
    """Without a notification a wait ends by itself, so that other processes' changes are seen."""

    async def scene() -> None:
        notifier = await _open()
        await asyncio.wait_for(notifier.wait(notifier.version, 0.01), LONG)
        assert notifier.waiting == 0

    in_a_loop(scene())


def test_cancelled_wait_is_forgotten(slow_poll: None) -> None:
    """A caller that goes away leaves nothing behind."""

    async def scene() -> None:
        notifier = await _open()
        task = asyncio.create_task(notifier.wait(notifier.version, LONG))
        await _settled(notifier, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert notifier.waiting == 0

    in_a_loop(scene())


def test_upkeep_runs_again_and_again() -> None:
    """The duty is done until the server stops, though one round fails."""
    rounds = threading.Semaphore(0)

    def duty() -> int:
        rounds.release()
        raise OSError("the disk is full")

    with repeated(duty, seconds=0.001):
        done = [rounds.acquire(timeout=10) for _ in range(3)]

    assert done == [True, True, True]


def test_one_process_wakes_those_who_wait_at_another(
    tmp_path: Path, postgresql_url: str, slow_poll: None
) -> None:
    """A study that one takes in gives work to a worker, and news to a page, at the other."""
    settings = Settings(
        _env_file=None, home=tmp_path, database_url=postgresql_url, upkeep_seconds=3600, port=0
    )
    with serving(settings) as here, serving(settings) as there, ThreadPoolExecutor(1) as pool:
        with there.client.stream("GET", "/partials/changes", params={"after": 1}) as page:
            taken = pool.submit(
                there.client.post, "/api/v1/leases", json={"worker": "w1", "wait": 20}
            )
            while not here.client.get("/api/v1/workers").json():
                pass
            here.client.post("/api/v1/studies", json=study())
            news = next(line for line in page.iter_lines() if line.startswith("id"))
        assert (news, taken.result().status_code) == ("id: 2", 200)
