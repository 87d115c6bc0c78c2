"""Presets: each can be submitted, alone and together, and `segtune init` writes them."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.unit.samples import study
from tuner.cli.app import app
from tuner.configs.checks import parse, problems
from tuner.configs.presets import choose, presets
from tuner.errors import InvalidInput
from tuner.spec.config import Recipe


@pytest.mark.parametrize("name", sorted(presets()))
def test_a_preset_can_be_submitted(name: str) -> None:
    """Every corner of its space is a valid config, and it keeps to its section."""
    preset = presets()[name]
    spec = study(base={preset.section: dict(preset.base)}, space=dict(preset.space))
    assert problems(spec) == []
    assert preset.section in Recipe.model_fields
    assert {path.partition(".")[0] for path in preset.space} == {preset.section}
    assert preset.summary


def test_two_presets_of_one_section_are_refused() -> None:
    """The message names both."""
    with pytest.raises(InvalidInput, match="sgd and adamw both set optimizer"):
        choose(["sgd", "adamw"])


def test_an_unknown_preset_gets_the_nearest() -> None:
    """A typo is answered with what was probably meant."""
    with pytest.raises(InvalidInput, match="did you mean 'optimizers'"):
        choose(["optimiser"])


def test_the_command_lists_presets_without_a_folder() -> None:
    """One line each, with the section that it sets."""
    done = CliRunner().invoke(app, ["init", "--preset", "list"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == list(presets())


def test_the_command_writes_presets_into_the_study(tmp_path: Path) -> None:
    """Their sections are replaced, the others stay, and the file can be submitted."""
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            folder = tmp_path / "data" / kind / split
            folder.mkdir(parents=True)
            picture = Image.fromarray(np.arange(2, dtype=np.uint8).repeat(800).reshape(40, 40))
            picture.save(folder / "a.png")
    out = tmp_path / "study.yaml"
    chosen = ["optimizers", "losses", "schedules", "ocr"]
    flags = [word for name in chosen for word in ("--preset", name)]
    CliRunner().invoke(app, ["init", str(tmp_path / "data"), "-o", str(out), *flags])
    document = yaml.safe_load(out.read_text())
    assert parse(document).base.model.encoder == "hrnet_w18"
    assert document["space"].items() >= {**presets()["losses"].space}.items()
    assert "augment.rotate" in document["space"]
    assert "model.decoder" not in document["space"]
