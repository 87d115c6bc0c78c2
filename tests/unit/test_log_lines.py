"""What a process logs, as text and as JSON lines."""

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.settings import Settings
from tuner import logs
from tuner.background import duty
from tuner.cli.app import app
from workers.settings import WorkerSettings

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What has been logged in JSON; the process logs afterwards as it did before."""
    root = logging.getLogger()
    kept, level, put_out = root.handlers[:], root.level, io.StringIO()
    monkeypatch.setattr(sys, "stderr", put_out)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root.handlers.clear()
    logs.configure("info", "json")
    yield lambda: [json.loads(each) for each in put_out.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers[:] = kept
    root.setLevel(level)
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_says_when_who_and_what(lines: Lines) -> None:
    """Four keys are always there; the time is UTC as RFC 3339 has it."""
    logging.getLogger("tuner.service").info("trial %s of %s", 3, "a\nb")
    (line,) = lines()
    moment = line.pop("time")
    assert line == {"level": "info", "logger": "tuner.service", "message": "trial 3 of a\nb"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)


def test_an_error_is_one_line_too(lines: Lines) -> None:
    """Its traceback is text in it."""
    try:
        raise ValueError("no\nsuch")
    except ValueError:
        logging.getLogger("api").exception("it failed")
    (line,) = lines()
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: no\nsuch")


def test_the_error_that_ends_a_command_is_one_line_too(lines: Lines, tmp_path: Path) -> None:
    """With its hint, and nothing as text beside it."""
    words = ["fleet", "--once", "--gpus", "0", "--log-format", "json"]
    environment = {"SEGTUNE_HOME": str(tmp_path), "SEGTUNE_SERVER": "http://127.0.0.1:9"}
    done = CliRunner().invoke(app, words, env=environment)
    (line,) = [json.loads(each) for each in done.stderr.splitlines()]
    assert (done.exit_code, line["level"], lines()) == (3, "error", [])
    assert "hint: " in line["message"]


def test_libraries_say_which_trial_they_speak_of(lines: Lines) -> None:
    """Also from a thread that was started for the trial; and no longer when it is over."""
    library = logging.getLogger("some.library")
    with logs.about(study="s", trial=3, attempt=1):
        library.warning("here")
        with duty(lambda: library.warning("beside"), name="beside", stop=lambda: None):
            pass
        with logs.about(worker="w"):
            library.warning("nested")
    library.warning("after")
    found = [{name: line[name] for name in logs.IDS if name in line} for line in lines()]
    trial = {"study": "s", "trial": 3, "attempt": 1}
    assert found == [trial, trial, {**trial, "worker": "w"}, {}]


def test_a_process_of_one_trial_says_so_from_every_thread(lines: Lines) -> None:
    """Threads that a library starts know no context."""
    with logs.about(everywhere=True, trial=3):
        thread = threading.Thread(target=logging.getLogger("library").warning, args=("here",))
        thread.start()
        thread.join()
    logging.getLogger("library").warning("after")
    assert [line.get("trial") for line in lines()] == [3, None]


def test_a_line_may_say_its_own(lines: Lines) -> None:
    """What a line is given wins over what is bound."""
    with logs.about(study="other", worker="w"):
        logging.getLogger("tuner").info("x", extra={"study": "s", "trial": 1})
    (line,) = lines()
    assert (line["study"], line["trial"], line["worker"]) == ("s", 1, "w")


def test_libraries_only_warn(lines: Lines) -> None:
    """Warnings of Python's are lines as well, and so is what ends a thread or the process."""
    logging.getLogger("library").info("chatter")
    with warnings.catch_warnings():  # pytest has its own eye on them
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0, name="worker-1")
    thread.start()
    thread.join()
    sys.excepthook(KeyError, KeyError("x"), None)
    found = lines()
    assert [line["level"] for line in found] == ["warning", "error", "critical"]
    assert "worker-1" in found[1]["message"]
    assert "ZeroDivisionError" in found[1]["exception"]
    assert "KeyError" in found[2]["exception"]


@settings(max_examples=50)
@given(st.text(), st.text())
def test_whatever_is_said_stays_in_its_line(message: str, name: str) -> None:
    """No text of others begins a line of its own, or breaks the encoding."""
    record = logging.LogRecord(name, logging.INFO, "", 0, "%s", (message,), None)
    line = logs.JsonLines().format(record)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == message


def test_json_lines_are_read_as_text() -> None:
    """A trial's page shows sentences; what is no line of ours stays as it is."""
    record = logging.LogRecord("tuner.x", logging.INFO, "", 0, "epoch 3", (), None)
    line = logs.JsonLines().format(record)
    shown = logs.readable(f'cut off"}}\n{line}\n{{"time": 1}}\nFatal error\n{line}')
    first, ours, odd, fatal, last = shown.splitlines()
    assert (first, odd, fatal) == ('cut off"}', '{"time": 1}', "Fatal error")
    assert ours.endswith("Z INFO    tuner.x: epoch 3")
    assert last == ours


@pytest.mark.parametrize("kind", [Settings, WorkerSettings])
def test_the_format_is_a_setting(
    kind: type[Settings | WorkerSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable says it, for server and worker, in whatever case."""
    monkeypatch.chdir(tmp_path)
    assert kind().log_format == "text"
    monkeypatch.setenv("SEGTUNE_LOG_FORMAT", "JSON")
    assert kind().log_format == "json"
    with pytest.raises(ValueError, match="'text' or 'json'"):
        kind(log_format="xml")


def test_a_server_puts_out_nothing_but_json(tmp_path: Path) -> None:
    """Requests among it, each with its method, path and status."""
    told = {"SEGTUNE_HOME": str(tmp_path), "SEGTUNE_LOG_LEVEL": "debug", "SEGTUNE_TOKEN": ""}
    command = [sys.executable, "-m", "tuner.cli.app", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--log-format", "json"], env={**os.environ, **told}, cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        found: list[dict[str, Any]] = []
        while not (found and found[-1]["message"].startswith("serving at ")):
            found.append(json.loads(process.stdout.readline()))
        urlopen(f"{found[-1]['message'].removeprefix('serving at ')}/health/live?a=b").read()
        process.send_signal(signal.SIGTERM)
        found += [json.loads(line) for line in process.stdout]
    access = [line for line in found if line["logger"] == "uvicorn.access"]
    wanted = {"method": "GET", "path": "/health/live?a=b", "status": 200}
    assert [{name: line[name] for name in wanted} for line in access] == [wanted]
