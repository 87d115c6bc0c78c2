"""`segtune retry`: a failed trial waits once more, and what cannot be tried again says why."""

from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.cli_samples import trial
from tests.unit.samples import study as spec
from tuner.cli import trial as command
from tuner.cli.app import app
from tuner.configs.resolve import resolve
from tuner.errors import Conflict
from tuner.spec.states import TrialState
from tuner.spec.views import TrialView


class Server:
    """A server whose trials can be tried again, or that refuses with an error."""

    def __init__(self, refusal: Conflict | None = None) -> None:
        self.refusal = refusal

    def retry_trial(self, study: str, number: int) -> TrialView:
        """The trial, which waits."""
        if self.refusal is not None:
            raise self.refusal
        config = resolve(spec().base, spec().dataset, {})
        waiting = trial(number, state=TrialState.WAITING).model_dump()
        return TrialView(**waiting, study_id=1, study=study, config=config)


def asked(monkeypatch: pytest.MonkeyPatch, server: Server) -> Any:
    """What `segtune retry street 3` does before this server."""
    monkeypatch.setattr(command, "connect", lambda where, token: server)
    return CliRunner().invoke(app, ["retry", "street", "3"])


def test_it_says_that_the_trial_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with the trial and its state."""
    done = asked(monkeypatch, Server())

    assert (0, "trial 3 of street is waiting\n") == (done.exit_code, done.output)


def test_a_refusal_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be tried again leaves with the server's sentence and no traceback."""
    done = asked(monkeypatch, Server(Conflict("trial 3 of 'street' is completed")))

    assert 0 != done.exit_code
    assert "trial 3 of 'street' is completed" in done.output
