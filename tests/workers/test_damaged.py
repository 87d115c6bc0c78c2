"""A checkpoint whose bytes are not those that were stored."""

from collections.abc import Callable

import pytest

from tests.workers.fake_server import FakeServer, assignment
from tuner.spec.messages import ArtifactRef, OutcomeKind

Work = Callable[..., int]


@pytest.mark.parametrize("status", [None, 404, 410])
def test_a_trial_without_its_checkpoint_starts_over(
    server: FakeServer, work: Work, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    """Whether the server or the worker finds out: to the same numbers, and its log says why."""
    ref = ArtifactRef(id=9, name="checkpoint", kind="checkpoint", size=5, sha256="0" * 64)
    server.files[9] = b"wrong"
    server.statuses = {} if status is None else {"9": status}
    server.waiting.append(assignment(resume=ref, last_step=2))
    work("report=1 report=2 report=3 finish=completed")
    ((_, outcome),) = server.finished
    assert (server.steps, outcome.kind) == ([1, 2, 3], OutcomeKind.COMPLETED)
    assert server.requests.count("GET artifacts/9") == 1
    assert caplog.text.count("streets/7 starts afresh") == 1
    assert "[worker] streets/7 starts afresh" in server.logs[0]
