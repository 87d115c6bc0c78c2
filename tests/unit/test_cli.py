"""The command line: what it says, where, and the code that it exits with."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.unit.cli_samples import ScriptedClient, best, event, trial, view
from tests.unit.samples import document, study
from tuner.cli import processes, studies
from tuner.cli.app import app
from tuner.cli.demo import demonstration
from tuner.cli.failures import explain
from tuner.cli.show import sentences, tables
from tuner.errors import (
    Conflict,
    InvalidSpec,
    NotFound,
    Problem,
    SegtuneError,
    ServerUnreachable,
    StorageError,
    Unauthorized,
)
from tuner.spec.states import StudyState
from tuner.spec.views import Best, ConfirmationView, ConfirmedLeader, ConfirmedObjective

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedClient:
    """A client that every study command gets instead of a connection."""
    done = view(state=StudyState.FINISHED)
    client = ScriptedClient([view(), done], events=[event(1, "study.finished")])
    monkeypatch.setattr(studies, "connect", lambda server, token: client)
    return client


def test_an_unreachable_server_is_one_message_and_code_3() -> None:
    """The message names the address and what to do."""
    result = _run("studies", "--server", NOWHERE)
    assert result.exit_code == 3
    assert NOWHERE in result.stderr
    assert "is `segtune up` running?" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidSpec([Problem(("space",), "no")]), 2),
        (NotFound("no such study"), 2),
        (Conflict("it exists"), 2),
        (Unauthorized("wrong token"), 2),
        (ServerUnreachable("no answer"), 3),
        (StorageError("disk full"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: SegtuneError, code: int) -> None:
    """2 for what the user can mend, 3 for no server, 1 for the rest."""
    assert explain(error)[1] == code


def test_several_problems_are_listed_with_their_places() -> None:
    """Each problem of a study stands on its own line with its location."""
    problems = [Problem(("space", "optimizer.lr"), "low"), Problem(("name",), "missing")]
    message, _ = explain(InvalidSpec(problems))
    assert message.splitlines() == [
        "error: 2 problems",
        "  - space.optimizer.lr: low",
        "  - name: missing",
    ]


def test_an_error_of_a_command_is_no_traceback(
    scripted: ScriptedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command raises becomes its message."""

    def refuse(study: str) -> None:
        raise NotFound(f"no study is called '{study}'")

    monkeypatch.setattr(scripted, "study", refuse)
    result = _run("trials", "lost")
    assert (result.exit_code, result.stderr) == (2, "error: no study is called 'lost'\n")


def test_submit_sends_the_file_under_the_name_given(
    scripted: ScriptedClient, tmp_path: Path
) -> None:
    """`--name` replaces the name in the file."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document()))
    result = _run("submit", str(path), "--name", "other")
    assert result.exit_code == 0
    assert scripted.submitted == [document(name="other")]


def test_submit_and_watch_ends_with_the_study(scripted: ScriptedClient, tmp_path: Path) -> None:
    """`--watch` follows the study and exits with its result."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document()))
    result = _run("submit", str(path), "--watch")
    assert (result.exit_code, "streets finished" in result.stdout) == (0, True)


def test_tables_in_a_pipe_are_not_cut(scripted: ScriptedClient) -> None:
    """Without a terminal the longest cell stands whole, on one line."""
    reason = "below the best third of 9 trials " * 10
    scripted.running = (trial(3, reason=f"[bold]{reason}"),)
    result = _run("trials", "streets")
    assert f"[bold]{reason}".strip() in result.stdout


def test_a_table_of_trials_has_every_objective() -> None:
    """The further ones stand beside the first; one that is not known yet is a dash."""
    spec = study(objectives=[{"metric": "miou"}, {"metric": "latency_ms"}], deployment={})
    table = tables.trials([trial(3, values=(0.42, 21.4)), trial(4)], spec)
    columns = {str(column.header): list(column.cells) for column in table.columns}
    assert columns["miou"] == ["0.4200", "0.4200"]
    assert columns["latency_ms"] == ["21.4000", "–"]


def test_a_table_of_trials_says_the_best_of_any_epoch_once() -> None:
    """Where the best counts it is the value, and the epoch that it is of stands beside it."""
    last, best = (
        [str(column.header) for column in tables.trials([trial(3)], spec).columns]
        for spec in (study(), study(objectives=[{"metric": "miou", "at": "best"}]))
    )
    assert ("best epoch" in last, "at epoch" in last) == (True, False)
    assert ("best epoch" in best, "at epoch" in best) == (False, True)


def test_best_tells_the_confirmation_beside_the_document(scripted: ScriptedClient) -> None:
    """Standard output is the JSON alone; the verdict and each leader stand on standard error."""
    result = _run("best", "streets")
    assert Best.model_validate_json(result.stdout).trial == 2
    assert result.stderr.splitlines() == [
        "confirmation: within the noise",
        "  trial 2: 0.4800 ± 0.0120 over 2 seeds; 0.5000 in the search",
        "  trial 5: 0.4700 ± – over 1 seed, 1 lost; 0.5200 in the search",
    ]


def test_a_confirmed_front_is_reported_with_every_objective() -> None:
    """Each leader's line has its means by metric, and whether it is still on the front."""
    loss = ConfirmedObjective(mean=0.3)
    leader = ConfirmedLeader(
        trial=2,
        searched=0.5,
        mean=0.48,
        values=(0.48,),
        objectives={"miou": ConfirmedObjective(mean=0.48), "train_loss": loss},
        on_front=True,
    )
    shown = ConfirmationView(complete=True, seeds=(1,), leaders=(leader,), verdict="as before")
    assert sentences.confirmation(best().model_copy(update={"confirmation": shown})) == [
        "confirmation: as before",
        "  trial 2: miou 0.4800 ± –, train_loss 0.3000 ± – over 1 seed, on the front; "
        "0.5000 in the search",
    ]


def test_best_in_a_file_tells_the_confirmation_on_screen(
    scripted: ScriptedClient, tmp_path: Path
) -> None:
    """The file is the same document."""
    result = _run("best", "streets", "-o", str(tmp_path / "best.yaml"))
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["trial"] == 2
    assert "confirmation: within the noise" in result.stdout


def test_pareto_lists_the_front_and_its_volume(scripted: ScriptedClient) -> None:
    """The best by the first objective stands on top; the reference says how far volume counts."""
    scripted.running = (trial(3, values=(0.4, 0.7)), trial(5, values=(0.5, 0.6)))
    result = _run("pareto", "streets", "--reference", "0", "--reference", "0.5")
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["5", "0.5000", "0.6000"],
        ["3", "0.4000", "0.7000"],
    ]
    assert lines[3] == "hypervolume 0.25 up to miou 0.0000, iou.car 0.5000"


def test_a_plan_tells_trials_per_rung_and_hours(scripted: ScriptedClient, tmp_path: Path) -> None:
    """Expected and worst case stand side by side; hours only where an epoch's time is known."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document()))
    plain = _run("plan", str(path)).stdout
    assert "44 epochs; trials trained to epoch: 9 to 2, 3 to 6, 1 to 20" in plain
    assert "9 × 20 + 60 = 240 epochs" in plain
    assert "device hours" not in plain
    priced = _run("plan", str(path), "--epoch-seconds", "12", "--workers", "1").stdout
    assert "12 s, as given" in priced
    assert "0.25, at most 0.5 with 1 worker" in priced


def test_an_unknown_state_gets_the_valid_ones(scripted: ScriptedClient) -> None:
    """The message lists the states."""
    result = _run("trials", "streets", "--state", "dead")
    assert result.exit_code == 2
    assert "waiting, running, paused" in result.stderr


def test_a_wrong_setting_is_named_like_its_variable(tmp_path: Path) -> None:
    """A setting is called what the user sets."""
    result = _run("serve", "--home", str(tmp_path), "--port", "99999")
    assert result.exit_code == 2
    assert "SEGTUNE_PORT" in result.stderr


def test_the_schema_is_made_and_recognized(tmp_path: Path) -> None:
    """`db current` fails before `db upgrade` and succeeds after it."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    codes = [
        _run("db", command, "--url", url).exit_code for command in ("current", "upgrade", "current")
    ]
    assert codes == [1, 0, 0]


def test_a_demo_does_not_empty_a_folder_that_no_demo_made(tmp_path: Path) -> None:
    """Somebody's files stay."""
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Conflict), demonstration.prepared(tmp_path, keep=False):
        pass
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize(("keep", "stays"), [(False, False), (True, True)])
def test_a_second_demo_starts_afresh_unless_told_to_keep(
    tmp_path: Path, keep: bool, stays: bool
) -> None:
    """The first demo's database goes, or stays with `--keep`; decoded data always stays."""
    with demonstration.prepared(tmp_path, keep=False) as home:
        (home / "segtune.db").touch()
        (home / "cache").mkdir()
    with demonstration.prepared(tmp_path, keep=keep) as home:
        assert ((home / "segtune.db").exists(), (home / "cache").exists()) == (stays, True)


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one is told that the first runs."""
    with (
        demonstration.prepared(tmp_path, keep=False),
        pytest.raises(Conflict, match="already"),
        demonstration.prepared(tmp_path, keep=False),
    ):
        pass


def test_a_taken_port_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo takes another port; `up` says which one is taken."""
    import socket

    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert processes.free_port("127.0.0.1", port) != port
        result = _run("up", "--port", str(port))
    assert (result.exit_code, f"port {port}" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("device", "workers", "expected"),
    [("cpu", 2, ("cpu", "cpu")), ("cuda:1", None, ("cuda:1",)), ("cpu", 0, ())],
)
def test_workers_are_spread_over_devices(
    device: str, workers: int | None, expected: tuple[str, ...]
) -> None:
    """As many as asked for, on the device named."""
    assert processes.devices(device, workers) == expected


def test_workers_on_the_processor_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers on four cores get two threads each, and each has a name of its own."""
    monkeypatch.setattr("workers.devices.cores", lambda: 4)
    commands = processes.worker_commands("http://127.0.0.1:1", ("cpu", "cpu"))
    names: list[Any] = [each.arguments[each.arguments.index("--name") + 1] for each in commands]
    assert {each.environment["SEGTUNE_THREADS"] for each in commands} == {"2"}
    assert len(set(names)) == 2


def test_a_deletion_says_how_to_undo_it(scripted: ScriptedClient) -> None:
    """By the id, which stays the study's own whatever is submitted meanwhile."""
    result = _run("delete", "streets")
    study_id = scripted.views[0].id
    assert result.exit_code == 0
    assert f"bring it back with `segtune restore {study_id}`" in result.stdout
    assert _run("restore", str(study_id)).stdout == "study streets is finished\n"
