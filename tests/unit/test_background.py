"""What runs beside the main work."""

import logging
import threading

import pytest

from tuner.background import duty, task_queue


def test_a_duty_runs_until_its_block_ends() -> None:
    """It is told to end, and waited for."""
    stop, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        stop.wait(10)
        ended.set()

    with duty(run, name="watch", stop=stop.set):
        assert begun.wait(10)
        assert not ended.is_set()
    assert ended.is_set()


def test_a_duty_ends_with_an_error_of_its_block() -> None:
    """No thread outlives what it was for."""
    stop = threading.Event()
    with pytest.raises(ZeroDivisionError), duty(stop.wait, name="watch", stop=stop.set):
        raise ZeroDivisionError
    assert "watch" not in {thread.name for thread in threading.enumerate()}


def test_a_duty_may_be_left_to_end_by_itself() -> None:
    """A request that hangs holds up nobody."""
    release, stopped = threading.Event(), threading.Event()
    with duty(lambda: release.wait(10), name="hangs", stop=stopped.set, wait=0):
        pass
    assert stopped.is_set()
    assert "hangs" in {thread.name for thread in threading.enumerate()}
    release.set()


def test_tasks_are_done_in_order_though_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An error is logged, and the tasks behind it are done."""
    done: list[int] = []
    all_done = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR), task_queue("draws") as submit:
        for task in (lambda: done.append(1), fail, lambda: done.append(2), all_done.set):
            submit(task)
        assert all_done.wait(10)
    assert done == [1, 2]
    assert "a task in the background failed" in caplog.text


def test_tasks_that_wait_are_forgotten_at_the_end() -> None:
    """The one under way is waited for."""
    begun, release = threading.Event(), threading.Event()
    done: list[str] = []

    def long() -> None:
        begun.set()
        release.wait(10)
        done.append("long")

    with task_queue("draws") as submit:
        submit(long)
        submit(lambda: done.append("waited"))
        assert begun.wait(10)
        threading.Timer(0.05, release.set).start()
    assert done == ["long"]
