"""`segtune init` on layouts of tools and data sets: what it writes is what training reads."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.training.samples import Reports
from tests.unit.init_layouts import LAYOUTS, Write, three_pairs, voc
from tuner.cli.app import app
from tuner.cli.documents import read_study
from tuner.configs import checks
from tuner.spec.config import Recipe
from tuner.training.data.load import load


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGTUNE_CACHE", str(tmp_path / "cache"))


def drafted(layout: Write) -> tuple[dict[str, Any], dict[str, Any]]:
    """The study that init writes for a layout, and what its data set must say."""
    expected = layout(Path("data"))
    done = CliRunner().invoke(app, ["init", "data"])
    assert done.exit_code == 0, done.output
    assert "WARNING" not in done.output
    return read_study(Path("study.yaml")), expected


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_what_init_writes_is_what_training_reads(layout: Write) -> None:
    """The layout is recognised, the study can be submitted, and check-data has no complaint."""
    study, expected = drafted(layout)
    found = {key: study["dataset"].get(key) for key in expected}
    assert found == expected
    assert checks.parse(study).base.model.weights == "pretrained"
    checked = CliRunner().invoke(app, ["check-data", "study.yaml"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("layout", [three_pairs, voc], ids=lambda layout: layout.__name__)
def test_a_drafted_study_trains(layout: Write, tmp_path: Path) -> None:
    """One epoch of a small network runs on the data set and the batch that init chose."""
    from tuner.configs.resolve import resolve
    from tuner.training.train import train

    study, _ = drafted(layout)
    spec = checks.parse(study)
    batch = spec.base.training.batch_size
    small = {
        "model": {"decoder": "cnn", "encoder": "resnet18", "weights": "none"},
        "training": {"epochs": 1, "batch_size": batch},
    }
    config = resolve(Recipe.model_validate(small), spec.dataset, {})
    data = load(config.dataset, cache=tmp_path / "cache", roots=(tmp_path,))
    session = Reports()
    train(config, data, session, folder=tmp_path / "work")
    assert [report.step for report in session.reports] == [1]
