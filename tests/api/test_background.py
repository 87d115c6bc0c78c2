"""What a server does beside its requests."""

import logging

import pytest

from api.background import Background


def test_jobs_are_done_in_order_though_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    """An error is logged, and the jobs behind it are done; leaving waits for the one under way."""
    done: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR), Background() as background:
        for job in (lambda: done.append(1), fail, lambda: done.append(2)):
            background(job)
        background._thread.submit(int).result()
    assert done == [1, 2]
    assert "a job in the background failed" in caplog.text
