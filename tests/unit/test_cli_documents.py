"""Files on the command line: what is wrong with one is told with file, line, column and path."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.unit.cli_samples import ScriptedClient, best, view
from tuner.cli import studies
from tuner.cli.app import app
from tuner.cli.documents import read_result, read_study, render, write
from tuner.configs import checks
from tuner.errors import StorageError
from tuner.spec import yaml_core
from tuner.training.preview import sheet

DATA = "dataset: {format: synthetic, classes: [a, b], size: [32, 48]}\n"


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> ScriptedClient:
    """A client that checks what is submitted as the server does."""

    class Checking(ScriptedClient):
        def submit(self, document: Any) -> Any:
            checks.parse(document)
            return super().submit(document)

        def plan(self, document: Any, **_: Any) -> Any:
            checks.parse(document)
            return super().plan(document)

    client = Checking([view()])
    monkeypatch.setattr(studies, "connect", lambda server, token: client)
    return client


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _complaint(result: Result) -> str:
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", ":1:8: it is not YAML"),
        ("name: a\n\tb: 1", ":2:1: it is not YAML: a tab"),
        ("name: a\nname: b", ":2:1: name is given twice, first in line 1"),
        (
            "space:\n  optimizer.lr: {float: [0.001,\n    .nan]}",
            ":3:5: space.optimizer.lr.float.1: nan is not a finite number",
        ),
        (
            "- name: a",
            ": a study is a mapping with the keys name, dataset, …; this file holds a list",
        ),
        ("", ": a study is a mapping with the keys name, dataset, …; this file is empty"),
        ("streets", ": a study is a mapping with the keys name, dataset, …; this file holds the"),
        ("a: " + "x" * 2**17, ": is larger than 128 KiB"),
    ],
)
@pytest.mark.parametrize("command", [("submit",), ("submit", "--dry-run"), ("plan",)])
def test_a_file_that_cannot_be_read_is_reported_with_the_place(
    command: tuple[str, ...], text: str, message: str, tmp_path: Path
) -> None:
    """File, line, column and path stand in the message."""
    path = tmp_path / "study.yaml"
    path.write_text(text)

    assert f"error: {path}{message}" in _complaint(_run(command[0], str(path), *command[1:]))


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_what_the_server_refuses_is_reported_with_the_place(suffix: str, tmp_path: Path) -> None:
    """A problem that the server found stands at the line of the file that it is about."""
    path = tmp_path / f"study{suffix}"
    path.write_text(
        '{"name": "a",\n "dataset": {"format": "synthetic", "classes": ["a", "b"],\n'
        '  "size": [32, 48]},\n "space": {"optimizer.lr": {"float": [0.1, 0.01]},\n'
        '  "optimizer.momentun": {"choice": [0.5]}}}'
    )
    lines = _complaint(_run("submit", str(path))).splitlines()

    assert lines[0] == "error: 2 problems"
    assert lines[1].startswith(f"  - {path}:4:29: space.optimizer.lr")
    assert lines[2].startswith(f"  - {path}:5:3: space.optimizer.momentun: ")


def test_numbers_are_numbers(server: ScriptedClient, tmp_path: Path) -> None:
    """`1e-4` is a number in a file as it is in JSON."""
    path = tmp_path / "study.yaml"
    path.write_text(f"name: a\n{DATA}space: {{optimizer.lr: {{choice: [1e-4, 1.e-3, .01]}}}}")

    assert _run("submit", str(path)).exit_code == 0
    assert server.submitted[0]["space"] == {"optimizer.lr": {"choice": [0.0001, 0.001, 0.01]}}


def test_a_date_as_a_name_is_a_text(server: ScriptedClient, tmp_path: Path) -> None:
    """Dates are texts, as in JSON, whether quoted or not."""
    path = tmp_path / "study.yaml"
    path.write_text(f"name: 2026-01-01\n{DATA}")

    assert _run("submit", str(path)).exit_code == 0
    assert server.submitted[0]["name"] == "2026-01-01"


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_files_of_windows_are_read(codec: str, tmp_path: Path) -> None:
    """A byte order mark says how a file is encoded."""
    path = tmp_path / "study.yaml"
    path.write_bytes("name: größe\r\nb: [1, 2]\r\n".encode(codec))

    assert read_study(path) == {"name": "größe", "b": [1, 2]}


def test_a_binary_file_is_no_study(tmp_path: Path) -> None:
    """A picture is refused by name."""
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")

    assert f"{path}: line 1 holds bytes that are not UTF-8" in _complaint(_run("submit", str(path)))


@pytest.mark.parametrize("command", ["submit", "plan", "train", "check-data", "preview"])
def test_a_folder_or_nothing_is_no_file(command: str, tmp_path: Path) -> None:
    """A command that reads a file says which one it cannot."""
    for path in (tmp_path, tmp_path / "nothing.yaml"):
        assert path.name in _complaint(_run(command, str(path))).replace("\n", "").replace("│ ", "")


@pytest.mark.parametrize("style", ["json", "yaml"])
def test_a_result_keeps_every_value(style: str, tmp_path: Path) -> None:
    """What `segtune best` writes, JSON or YAML, is read back as it was, odd texts included."""
    odd = {"note": "0e0", "when": "2026-01-01", "no": "no", "k": ["1_000", "010", "\u2028", " x "]}
    found = best().model_copy(update={"provenance": odd, "metrics": {"miou": 1e-05}})
    path = tmp_path / f"best.{style}"
    write(path, render(found, yaml=style == "yaml"))

    assert read_result(path) == (found.config, found)


def test_a_result_with_a_mistake_is_reported_with_the_place(tmp_path: Path) -> None:
    """`segtune train` names the line of what cannot be."""
    config = best().config.model_dump(mode="json")
    path = tmp_path / "best.yaml"
    path.write_text(yaml_core.dump({**config, "seed": -1}))
    line = next(
        n for n, text in enumerate(path.read_text().split("\n"), 1) if text.startswith("seed:")
    )

    assert f"{path}:{line}:1: seed: " in _complaint(_run("train", str(path)))


@pytest.mark.parametrize(
    "value", ["training.epochs=[", "training.epochs=.nan", "seed={a: 1, a: 2}"]
)
def test_a_value_that_cannot_be_read_is_named(value: str, tmp_path: Path) -> None:
    """`--set` says which assignment it could not read."""
    path = tmp_path / "best.json"
    write(path, render(best(), yaml=False))

    assert f"--set: the value in '{value}'" in _complaint(_run("train", str(path), "--set", value))


@pytest.mark.parametrize("out", ["folder.png", "file/best.png"])
def test_a_picture_that_cannot_be_written_is_named(out: str, tmp_path: Path) -> None:
    """The message names the file that was asked for, not the draft beside it."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OSError, match="cannot write") as caught:
        sheet.write(tmp_path / out, Image.new("RGB", (4, 4)))

    assert caught.value.filename == str(tmp_path / out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.parametrize("out", ["", "file/best.json"])
def test_a_place_that_cannot_be_written_is_named(out: str, tmp_path: Path) -> None:
    """A folder, or a file below a file: the message names it, and no draft stays behind."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write(tmp_path / out, "text")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))
