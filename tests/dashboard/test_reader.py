"""The process that renders live pages: the same pages, and none the less when it is not there."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from hypothesis import given
from hypothesis import strategies as st

from api import renderer
from api.app import create_app
from api.dashboard import reader as reader_module
from api.dashboard.packets import NotAPacket, Packet, read, write
from api.dashboard.reader import ChildLimits, PageProcess, Pauses
from api.settings import Settings
from tests.dashboard.scenes import Scene
from tests.loops import in_a_loop
from tuner.service import storage, upkeep
from tuner.store.engine import Database

PARTIAL = "/partials/studies/1"
REQUEST = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
QUICK = ChildLimits(silence=0.2, answer=1.0, pause=60.0)
# Children in the place of ours: they speak its language, and nothing is slow to import.
_SAY = "import os, pickle, socket, sys, time; place = socket.socket(fileno=os.dup(0)); " + (
    "say = lambda *packet: place.sendall((b := pickle.dumps(packet)) and len(b).to_bytes(8) + b); "
)
SILENT = _SAY + "say(0, None); time.sleep(60)"
BEATING = _SAY + "say(0, None)\nwhile True: say(1, None); time.sleep(.05)"
FAILING = _SAY + "say(0, 'it cannot start: no such thing'); time.sleep(60)"
DYING = "raise SystemExit(3)"
RAVING = _SAY + "place.sendall(bytes([0] * 7 + [9]) + b'no pickle'); time.sleep(60)"

Child = Callable[[str], None]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Let another program run in the child's place."""

    def run(program: str) -> None:
        monkeypatch.setattr(reader_module, "_program", lambda: program)

    return run


@asynccontextmanager
async def running(settings: Settings, limits: ChildLimits = QUICK) -> AsyncIterator[PageProcess]:
    """A page process that has been asked for its first page."""
    pages = PageProcess(settings, limits)
    try:
        await pages.answer(REQUEST)
        yield pages
    finally:
        pages.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let things happen until this is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def ready(pages: PageProcess) -> int:
    """The child's process id, once it can answer."""
    await until(lambda: pages.process is not None)
    assert pages.process is not None
    return pages.process


def has_ended(process: int) -> bool:
    """Whether there is no such process any more."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a warning or worse; nothing has a traceback."""
    found = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert not any(each.exc_info for each in found)
    return [each.getMessage() for each in found]


def test_the_child_renders_what_the_server_would(settings: Settings, db: Database) -> None:
    """Its page is the server's own; without it, and after it was killed, the server renders."""
    Scene.played(db, 3)

    async def scene() -> list[httpx.Response]:
        app = create_app(settings, with_reader=True)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            before = await client.get(PARTIAL)
            process = await ready(app.state.opened.reader)
            by_child = await client.get(PARTIAL)
            missing = await client.get("/partials/studies/9")
            os.kill(process, signal.SIGKILL)
            after = await client.get(PARTIAL)
            app.state.opened.reader.close()
            return [before, by_child, after, missing]

    before, by_child, after, missing = in_a_loop(scene())
    by_server = before.text

    assert before.headers["content-encoding"] == by_child.headers["content-encoding"] == "gzip"
    assert by_child.headers["content-security-policy"] == before.headers["content-security-policy"]
    assert by_child.text.count("<tr id=") == by_server.count("<tr id=") == 3
    assert (after.status_code, missing.status_code) == (200, 404)


@pytest.mark.parametrize(
    ("program", "why"),
    [(SILENT, "silent for 0.2 s"), (BEATING, "worked on / for 1 s")],
    ids=["hangs", "works on and on"],
)
def test_no_page_waits_for_a_child_that_does_not_answer(
    program: str, why: str, settings: Settings, child: Child, caplog: pytest.LogCaptureFixture
) -> None:
    """All that wait for it go to the server after a while; it is ended, and one line says why."""
    child(program)

    async def scene() -> tuple[list[object], bool]:
        async with running(settings) as pages:
            process = await ready(pages)
            answers = await asyncio.gather(*(pages.answer(REQUEST) for _ in range(3)))
            return list(answers), has_ended(process)

    assert in_a_loop(scene()) == ([None] * 3, True)
    (line,) = lines(caplog)
    assert why in line


def test_a_child_that_was_stopped_keeps_nobody_waiting(settings: Settings, child: Child) -> None:
    """SIGSTOP, or a machine that swaps, is as good as dead."""
    child(BEATING)

    async def scene() -> tuple[object, bool]:
        async with running(settings) as pages:
            process = await ready(pages)
            os.kill(process, signal.SIGSTOP)
            return await pages.answer(REQUEST), has_ended(process)

    assert in_a_loop(scene()) == (None, True)


@pytest.mark.parametrize("program", [FAILING, DYING, RAVING])
def test_a_child_that_cannot_start_is_not_tried_again_and_again(
    program: str, settings: Settings, child: Child, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred pages later there has been one child, and one line in the log."""
    child(program)

    async def scene() -> None:
        async with running(settings) as pages:
            await until(lambda: bool(lines(caplog)))
            for _ in range(100):
                assert await pages.answer(REQUEST) is None

    in_a_loop(scene())
    (line,) = lines(caplog)
    assert "next one may start in 60 s" in line


def test_a_machine_that_can_start_no_process_still_shows_pages(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An interpreter that is not there any more, say, because it is being upgraded."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def scene() -> None:
        async with running(settings) as pages:
            assert await pages.answer(REQUEST) is None

    in_a_loop(scene())
    (line,) = lines(caplog)
    assert "No such file" in line


@given(st.lists(st.floats(0, 299), min_size=1, max_size=40))
def test_pauses_double_up_to_minutes(lives: list[float]) -> None:
    """However short each child lives; after one that lived long, they are short again."""
    pauses, now, expected = Pauses(ChildLimits()), 0.0, 5.0
    for life in lives:
        assert pauses.are_over(now)
        began, now = now, now + life
        pause = pauses.lost(now, began=began)
        assert pause == expected
        assert not pauses.are_over(now + pause - 0.001)
        now += pause
        expected = min(2 * expected, 300.0)
    assert pauses.lost(now + 301.0, began=now) == 5.0


def test_closing_ends_the_child_and_all_that_wait_for_good(
    settings: Settings, child: Child, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits any longer, the child is gone, and no page starts another."""
    child(BEATING)

    async def scene() -> tuple[object, bool, int | None, float]:
        async with running(settings, ChildLimits()) as pages:
            process = await ready(pages)
            pending = asyncio.create_task(pages.answer(REQUEST))
            await asyncio.sleep(0)
            began = monotonic()
            pages.close()
            answer = await pending
            took = monotonic() - began
            await pages.answer(REQUEST)
            return answer, has_ended(process), pages.process, took

    answer, ended, process, took = in_a_loop(scene())
    assert (answer, ended, process) == (None, True, None)
    assert took < 2
    assert lines(caplog) == []


def test_the_child_is_out_of_reach_of_a_terminal(settings: Settings, child: Child) -> None:
    """Ctrl-C goes to a whole group of processes, and the child is in one of its own."""
    child(SILENT)

    async def scene() -> int:
        async with running(settings) as pages:
            return os.getpgid(await ready(pages))

    assert in_a_loop(scene()) != os.getpgid(0)


def test_the_child_ends_with_a_server_that_was_killed() -> None:
    """It looks for its parent from the start, also while it imports."""

    async def scene() -> int:
        program = f"from api.renderer import main; main(parent={os.getpid() + 1})"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            return await process.wait()

    assert in_a_loop(scene()) == 0


def test_the_child_reads_and_does_nothing_else(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither migrates nor looks after the database, and takes two connections of it."""
    Scene.played(db, 3)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a child that reads has done more")

    monkeypatch.setattr(storage, "upgrade", forbidden)
    monkeypatch.setattr(upkeep, "run", forbidden)

    async def scene() -> tuple[object, float]:
        headers = [(b"host", b"localhost")]
        request = {**REQUEST, "path": PARTIAL, "headers": headers, "scheme": "http"}
        quick = settings.model_copy(update={"upkeep_seconds": 0.001})
        async with renderer.opened(quick) as app:
            messages = await renderer.ask(app, request)
            return messages[0]["status"], current_default_thread_limiter().total_tokens

    assert in_a_loop(scene()) == (200, 2)


def test_a_slow_page_keeps_no_other_waiting_and_is_not_taken_for_a_hang(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child answers each as it is ready, and says meanwhile that it works."""
    monkeypatch.setattr(renderer, "_BEAT_SECONDS", 0.005)
    beats, first_is_answered = 3, asyncio.Event()

    @asynccontextmanager
    async def opened(_: Settings) -> AsyncIterator[None]:
        yield None

    async def ask(_: object, request: dict[str, str]) -> tuple[dict[str, str], ...]:
        if request["path"] == "/slow":
            await first_is_answered.wait()
        return ({"body": request["path"]},)

    monkeypatch.setattr(renderer, "opened", opened)
    monkeypatch.setattr(renderer, "ask", ask)

    async def scene() -> list[Packet]:
        ours, theirs = socket.socketpair()
        serving = asyncio.create_task(renderer.answer_all(theirs))
        reader, writer = await asyncio.open_connection(sock=ours)
        for packet in (Packet(0, settings), Packet(1, {"path": "/slow"}), Packet(2, {"path": "/"})):
            write(writer, packet)
        heard = [await read(reader), await read(reader)]
        heard += [await read(reader) for _ in range(beats)]
        first_is_answered.set()
        while heard[-1].content is None:
            heard.append(await read(reader))
        writer.close()
        with pytest.raises(NotAPacket):
            await serving
        return heard

    heard = in_a_loop(scene())
    assert heard[:2] == [(0, None), (2, ({"body": "/"},))]
    assert {*heard[2:-1]} == {(1, None)}
    assert heard[-1] == (1, ({"body": "/slow"},))
