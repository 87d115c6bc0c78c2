"""Following a study: lines without a terminal, a picture on one, and the exit code."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.unit.cli_samples import NOON, ScriptedClient, event, trial, view
from tuner.cli import watch
from tuner.cli.show import narration, screen, sentences
from tuner.spec.events import EventKind
from tuner.spec.states import StudyState
from tuner.spec.study import Objective
from tuner.spec.views import TrialCounts

FINISHED = view(state=StudyState.FINISHED, finished_at=NOON)
MIOU = Objective(metric="miou")


def _plain(client: ScriptedClient) -> list[str]:
    lines: list[str] = []
    watch.plain(client, "streets", lines.append)
    return lines


def test_each_report_is_one_line_with_its_metric() -> None:
    """A report names trial, epoch and value."""
    script = [event(1, "trial.reported", 3, step=2, value=0.41234), event(2, "study.finished")]
    lines = _plain(ScriptedClient([view(), FINISHED], events=script))
    assert lines[0].endswith("trial 3 epoch 2: miou 0.4123")


def test_the_last_line_tells_the_result() -> None:
    """The closing line gives counts, best value and gain over trial 0."""
    script = [event(1, "study.finished", state="finished")]
    lines = _plain(ScriptedClient([view(), FINISHED], events=script))
    assert lines[-1] == (
        "streets finished: 1 running, 3 completed, 2 pruned; "
        "best miou 0.5000 (trial 2), +0.1000 over trial 0"
    )


def test_a_failed_study_ends_with_its_reason() -> None:
    """The text of the first failure is the last thing said, and no best value is hoped for."""
    reason = "all 3 trials failed: trial 0 (data): batch_size is 4, the split has 3 images"
    failed = view(state=StudyState.FAILED, reason=reason, best_value=None, best_trial=None)
    script = [event(1, "study.finished", state="failed", reason=reason)]
    *_, counts, last = _plain(ScriptedClient([view(), failed], events=script))
    assert counts == "streets failed: 1 running, 3 completed, 2 pruned; no trial completed"
    assert last == f"reason: {reason}"


def test_a_study_that_waits_says_why_once() -> None:
    """At the beginning, and again when a trial lost its worker for another reason."""
    nobody = view(waiting_for="no worker is there; start one with `segtune worker`")
    no_gpu = view(waiting_for="it asks for a GPU, and no worker has one")
    script = [
        event(1, "trial.waiting", 0, state="waiting"),
        event(2, "trial.waiting", 0, state="waiting"),
        event(3, "study.finished", state="finished"),
    ]
    lines = _plain(ScriptedClient([nobody, nobody, no_gpu, FINISHED], events=script))
    assert [line for line in lines if line.startswith("streets waits: ")] == [
        "streets waits: no worker is there; start one with `segtune worker`",
        "streets waits: it asks for a GPU, and no worker has one",
    ]


def test_the_picture_says_why_a_study_waits_or_failed() -> None:
    """Beside its name and state."""
    for changes, words in (
        ({"waiting_for": "no worker is there"}, "waits: no worker is there"),
        ({"state": StudyState.FAILED, "reason": "all 3 trials failed"}, "all 3 trials failed"),
    ):
        console = Console(file=io.StringIO(), width=160)
        console.print(screen.screen(view(**changes), [], NOON))
        assert words in console.file.getvalue()  # type: ignore[attr-defined]  # StringIO


@pytest.mark.parametrize("kind", EventKind)
def test_no_kind_of_event_is_forgotten(kind: EventKind) -> None:
    """Each is a line of its own, except a draw, which its start tells."""
    data = {"source": "sampler", "state": "running", "step": 1}
    line = narration.line(event(1, kind, 4, **data), MIOU)
    assert (line is None) == (kind is EventKind.TRIAL_CREATED)


def test_a_study_that_goes_on_after_its_end_is_followed_further() -> None:
    """The stream's own past does not end the watch: a study whose budget grew runs again."""
    script = [
        event(1, "study.finished", state="finished"),
        event(2, "study.changed", state="running", reason="the budget grew"),
        event(3, "study.finished", state="finished"),
    ]
    lines = _plain(ScriptedClient([view(), view(), FINISHED], events=script))
    assert sum("study finished" in line for line in lines) == 2


def test_a_drawn_trial_is_not_reported_twice() -> None:
    """A trial that a sampler made is told by its start only."""
    assert narration.line(event(1, "trial.created", 4, source="sampler"), MIOU) is None


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("trial.created", {"source": "user"}, "trial 4 added by hand"),
        ("trial.started", {"step": 0}, "trial 4 started"),
        ("trial.started", {"step": 3}, "trial 4 goes on after epoch 3"),
        (
            "trial.ended",
            {"state": "pruned", "step": 3, "value": 0.2, "reason": "below the median"},
            "trial 4 pruned after epoch 3: miou 0.2000 (below the median)",
        ),
        ("trial.waiting", {"state": "waiting", "reason": "worker lost"}, "waiting (worker lost)"),
        ("study.changed", {"parallel": 4}, "study changed parallel=4"),
        ("study.finished", {"state": "cancelled"}, "study cancelled"),
    ],
)
def test_every_kind_of_event_has_its_words(kind: str, data: dict[str, Any], words: str) -> None:
    """What happened stands in the line, with its reason."""
    number = 4 if kind.startswith("trial") else None
    line = narration.line(event(1, kind, number, **data), MIOU)
    assert line is not None
    assert line.endswith(words)


def test_the_live_picture_redraws_until_the_study_has_ended() -> None:
    """Each pause is followed by a new look at the study."""
    pauses: list[float] = []
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    client = ScriptedClient([view(), view(), FINISHED], trials=[trial(5)])
    state = watch.live(client, "streets", console, pauses.append)
    assert (state, len(pauses)) == (StudyState.FINISHED, 2)


def test_the_picture_shows_each_warning_once() -> None:
    """Above the running trials."""
    console = Console(file=io.StringIO(), width=160)
    console.print(screen.screen(view(warnings=("the data changed",)), [], NOON))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # StringIO
    assert text.count("the data changed") == 1


def test_the_picture_shows_running_trials_with_their_epochs() -> None:
    """Running trials stand with epoch, value, worker and params."""
    console = Console(file=io.StringIO(), width=160)
    console.print(screen.screen(view(), [trial(5)], NOON))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # StringIO
    assert all(word in text for word in ("5/20", "0.4200", "w-1", "lr=0.012 optimizer=sgd"))


@given(
    counts=st.builds(
        TrialCounts,
        **{name: st.integers(0, 10_000) for name in TrialCounts.model_fields},
    ),
    budget=st.integers(1, 20_000),
)
def test_the_bar_is_always_as_wide_as_asked(counts: TrialCounts, budget: int) -> None:
    """Rounding never makes the bar longer or shorter."""
    text = screen.progress(view(counts=counts, budget=budget), width=48).plain
    assert sum(sign in "━─" for sign in text) == 48


@pytest.mark.parametrize(
    ("state", "code"),
    [(StudyState.FINISHED, 0), (StudyState.FAILED, 1), (StudyState.CANCELLED, 1)],
)
def test_the_exit_code_tells_how_the_study_ended(state: StudyState, code: int) -> None:
    """0 for a finished study, 1 for one that failed or was cancelled."""
    assert watch.exit_code(state) == code


def test_no_result_is_reported_as_none() -> None:
    """Without a completed trial there is neither value nor gain."""
    words = sentences.best(view(best_value=None, best_trial=None))
    assert words == "no completed trial yet (higher miou is better)"
