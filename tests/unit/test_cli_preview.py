"""`segtune preview`: from a study file to a picture."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from tuner.cli import preview
from tuner.cli.app import app
from tuner.configs.checks import parse
from tuner.configs.seeds import trial_config

STUDY: dict[str, Any] = {
    "name": "tiny",
    "dataset": {
        "format": "synthetic",
        "train": 8,
        "val": 2,
        "classes": ["road", "car"],
        "size": [32, 32],
    },
    "base": {"augment": {"flip": 0.5}},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file, and a home of its own for the cache."""
    pytest.importorskip("torch")
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path / "home"))
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


def _run(*arguments: Any) -> Result:
    return CliRunner().invoke(app, ["preview", *map(str, arguments)])


def test_the_base_recipe_is_drawn(study: Path, tmp_path: Path) -> None:
    """A study file alone gives a picture, and one line on what is in it."""
    out = tmp_path / "sheet.png"
    result = _run(study, "-o", out, "--set", "augment.rotate=20")
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "flip 0.5 · rotate 20" in result.output


def test_a_study_is_drawn_as_its_trial_0(study: Path) -> None:
    """The samples of a study file are those that its base recipe will train on, seed and all."""
    assert trial_config(parse(STUDY), {}, 0) == preview.read_config(study, STUDY)


def test_a_trial_is_drawn_as_the_server_knows_it(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--trial` asks for the config of that trial of the study."""
    spec = parse({**STUDY, "base": {"augment": {"vflip": 1.0}}})
    asked = []

    class _Client:
        def trial(self, name: str, number: int) -> Any:
            asked.append((name, number))
            config = trial_config(spec, {}, 3)
            return type("View", (), {"config": config})

    monkeypatch.setattr(preview, "connect", lambda server, token: _Client())
    result = _run(study, "-o", tmp_path / "sheet.webp", "--trial", 7)
    assert result.exit_code == 0, result.output
    assert asked == [("tiny", 7)]
    assert "vflip 1" in result.output


def test_a_name_that_is_no_picture_is_refused(study: Path) -> None:
    """The message says which names can be written."""
    result = _run(study, "-o", "sheet.pdf")
    assert result.exit_code == 2
    assert "write .png, .webp or .jpg, not 'sheet.pdf'" in result.stderr
