"""`segtune train`: changes to a config, and the comparison with the recorded result."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.unit.samples import document
from tuner.cli.app import app
from tuner.cli.train.comparison import Record
from tuner.cli.train.comparison import compare as compared
from tuner.cli.train.retraining import choose_threads, with_changes
from tuner.configs.checks import parse
from tuner.configs.resolve import resolve
from tuner.errors import InvalidInput
from tuner.spec.config import DirectedMetric, TrialConfig
from tuner.spec.views import Best
from tuner.wording import quantity

scores = st.dictionaries(
    st.sampled_from(["miou", "dice", "iou.car", "train_loss"]), st.floats(0, 1), min_size=1
)


def _config() -> TrialConfig:
    spec = parse(document())
    return resolve(spec.base, spec.dataset, {}, seed=3)


def _best(config: TrialConfig, metrics: dict[str, float], **provenance: Any) -> Best:
    told = {"threads": 1, **provenance}
    return Best(study="s", trial=1, params={}, config=config, metrics=metrics, provenance=told)


def compare(new: dict[str, float], old: dict[str, float]) -> Sequence[str]:
    """Both with the same provenance."""
    return compared(new, Record(old), {})


def test_values_are_changed_by_their_path() -> None:
    """Numbers are numbers, and the seed has no section."""
    config = with_changes(_config(), ["training.epochs=5", "optimizer.lr=0.5", "seed=9"])
    assert (config.training.epochs, config.optimizer.lr, config.seed) == (5, 0.5, 9)


def test_the_last_epoch_can_be_asked_for_again() -> None:
    """What chooses the epoch has no section, and can be taken away."""
    config = _config().model_copy(update={"best_by": DirectedMetric(metric="miou")})
    assert with_changes(config, ["best_by=null"]).best_by is None


@pytest.mark.parametrize(
    "change",
    ["training.epochs", "epochs=5", "training.epoch=5", "training.epochs=many", "=", "a.b=1"],
)
def test_a_change_that_cannot_be_is_refused(change: str) -> None:
    """A wrong form, an unknown path and a wrong value are all found."""
    with pytest.raises(InvalidInput):
        with_changes(_config(), [change])


@given(metrics=scores)
def test_equal_metrics_are_equal_bit_for_bit(metrics: dict[str, float]) -> None:
    """The same numbers give the word, whatever they are."""
    lines = compare(metrics, metrics)
    assert lines[-1] == f"equal bit for bit in all {quantity(len(metrics), 'metric')}"


@given(metrics=scores, data=st.data())
def test_one_different_digit_is_told(metrics: dict[str, float], data: st.DataObject) -> None:
    """The smallest difference in any metric is found and named."""
    name = data.draw(st.sampled_from(sorted(metrics)))
    lines = compare({**metrics, name: metrics[name] + 1e-9 + metrics[name] * 1e-9}, metrics)
    assert any(line.startswith(f"  {name}:") for line in lines)


def test_speed_is_not_compared() -> None:
    """What a step waits for data belongs to the machine, not to the model."""
    lines = compare(
        {"miou": 0.5, "images_per_second": 1.0}, {"miou": 0.5, "images_per_second": 2.0}
    )
    assert lines[-1] == "equal bit for bit in all 1 metric"


@pytest.mark.parametrize(
    ("recorded", "own", "device", "determinism", "expected"),
    [
        (2, None, "cpu", "exact", 2),
        (2, 8, "cpu", "exact", 2),
        (2, 8, "cuda", "exact", 8),
        (2, 8, "cpu", "fast", 8),
        (None, 8, "cpu", "exact", 8),
        (None, None, "cpu", "exact", None),
        (0, 8, "cpu", "exact", 8),
        ("two", 8, "cpu", "exact", 8),
    ],
)
def test_recorded_threads_win_where_the_number_depends_on_them(
    recorded: Any, own: int | None, device: str, determinism: str, expected: int | None
) -> None:
    """In the exact mode on a CPU the record counts; elsewhere what the machine is set to."""
    config = with_changes(_config(), [f"training.determinism={determinism}"])
    record = Record({}, {} if recorded is None else {"threads": recorded})
    threads, notice = choose_threads(config, record, own, device)
    assert threads == expected
    assert bool(notice) == (own is not None and threads != own)


def test_a_difference_is_given_its_reasons() -> None:
    """Everything that the number depends on and that is not as recorded is named."""
    old = {"data": "a" * 64, "threads": 2, "device_name": "x", "versions": {"torch": "1"}}
    new = {"data": "b" * 64, "threads": 1, "device_name": "x", "versions": {"torch": "2"}}
    text = "\n".join(compared({"miou": 0.5}, Record({"miou": 0.6}, old), new))
    for words in ("the data: fingerprint bbbb", "CPU threads: 1, recorded 2", "torch: 2"):
        assert words in text
    assert "processor" not in text


def test_no_reason_is_made_up() -> None:
    """Where all is as recorded, nothing is blamed."""
    lines = compared({"miou": 0.5}, Record({"miou": 0.6}, {"threads": 1}), {"threads": 1})
    assert lines[-1].startswith("nothing that the file records explains it")


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    """The message names the file and what is missing."""
    file = tmp_path / "best.json"
    file.write_text(json.dumps({"model": {}}))
    result = CliRunner().invoke(app, ["train", str(file)])
    assert result.exit_code == 2
    assert "dataset" in result.stderr
