"""What the command line says of trials and studies that failed, and of studies that wait."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.unit.cli_samples import NOON, ScriptedClient, event, trial, view
from tests.unit.samples import document
from tuner.cli import studies
from tuner.cli import trial as command
from tuner.cli.app import app
from tuner.configs.resolve import resolve
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import AttemptView, TrialView

TEXT = "batch_size is 4, and the training split has 3 images"
WHOLE = f"{TEXT}\n\nTraceback (most recent call last):\n  File 'data.py', line 7\n"
WAITS = "it asks for a GPU, and no worker has one"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _failed_trial(**changes: object) -> TrialView:
    spec = view().spec
    listed = trial(3, state=TrialState.FAILED, reason=f"data: {TEXT}", error_kind="data")
    attempt = AttemptView(number=1, worker="w-1", started_at=NOON, outcome="failed")
    known = {
        **listed.model_dump(),
        "study_id": 7,
        "study": spec.name,
        "config": resolve(spec.base, spec.dataset, {}),
        "error": WHOLE,
        "attempt_history": (attempt,),
    }
    return TrialView.model_validate({**known, **changes})


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedClient:
    """A client whose study ends failed, given to every command instead of a connection."""
    reason = f"all 3 trials failed: trial 0 (data): {TEXT}"
    changes = {"state": StudyState.FAILED, "reason": reason, "best_value": None}
    client = ScriptedClient([view(), view(**changes)], events=[event(1, "study.finished")])
    client.whole = _failed_trial()
    for module in (studies, command):
        monkeypatch.setattr(module, "connect", lambda server, token: client)
    return client


def test_submit_and_watch_ends_with_the_reason(scripted: ScriptedClient, tmp_path: Path) -> None:
    """Exit code 1, and the text of the first failure."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document()))
    result = _run("submit", str(path), "--watch")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        f"reason: all 3 trials failed: trial 0 (data): {TEXT}"
    )


def test_submit_says_why_the_study_will_wait(scripted: ScriptedClient, tmp_path: Path) -> None:
    """Before anybody watches it."""
    scripted.views = [view(state=StudyState.QUEUED, waiting_for=WAITS)]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document()))
    assert f"it waits: {WAITS}" in _run("submit", str(path)).stdout.splitlines()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"waiting_for": WAITS}, f"waits: {WAITS}"),
        ({"state": StudyState.FAILED, "reason": f"all failed: {TEXT}"}, f"all failed: {TEXT}"),
        ({"state": StudyState.PAUSED, "reason": "paused by a user"}, "paused by a user"),
    ],
)
def test_the_list_of_studies_says_why(
    scripted: ScriptedClient, changes: dict[str, object], words: str
) -> None:
    """A study that waits or failed has its reason in its row."""
    scripted.views = [view(**changes)]
    assert words in _run("studies").stdout


@pytest.mark.parametrize("reason", ["data", f"data: {TEXT}"], ids=["as before", "as now"])
def test_the_list_of_trials_shows_texts(scripted: ScriptedClient, reason: str) -> None:
    """Not just kinds, whichever release stored the reason."""
    failed = trial(3, state=TrialState.FAILED, reason=reason, error=TEXT, error_kind="data")
    scripted.running = (failed,)
    assert _run("trials", "streets").stdout.count(f"data: {TEXT}") == 1


def test_one_trial_is_shown_with_its_whole_error(scripted: ScriptedClient) -> None:
    """Its facts in a table, and below it the text as its worker sent it."""
    result = _run("trial", "streets", "3")
    assert result.exit_code == 0
    assert WHOLE.strip() in result.stdout
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for fact in (
        "state failed",
        "source sampler",
        "attempt 1 failed, by w-1",
        "optimizer.name sgd",
    ):
        assert fact in lines


def test_one_trial_as_json_is_all_that_is_known(scripted: ScriptedClient) -> None:
    """The document of the API."""
    found = TrialView.model_validate_json(_run("trial", "streets", "3", "--json").stdout)
    assert found == scripted.whole
