"""`segtune train`: changes to a config, and the comparison with the recorded result."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.unit.samples import document
from tuner.cli.app import app
from tuner.cli.retraining import compare, recorded_threads, with_changes
from tuner.errors import InvalidSpec
from tuner.resolve import resolve
from tuner.spec.config import TrialConfig
from tuner.spec.views import Best
from tuner.submission import parse

scores = st.dictionaries(
    st.sampled_from(["miou", "dice", "iou.car", "train_loss"]), st.floats(0, 1), min_size=1
)


def _config() -> TrialConfig:
    spec = parse(document())
    return resolve(spec.base, spec.dataset, {}, seed=3)


def _best(config: TrialConfig, metrics: dict[str, float]) -> Best:
    return Best(
        study="s", trial=1, params={}, config=config, metrics=metrics, provenance={"threads": 1}
    )


def test_values_are_changed_by_their_path() -> None:
    """Numbers are numbers, and the seed has no section."""
    config = with_changes(_config(), ["training.epochs=5", "optimizer.lr=0.5", "seed=9"])
    assert (config.training.epochs, config.optimizer.lr, config.seed) == (5, 0.5, 9)


@pytest.mark.parametrize(
    "change",
    ["training.epochs", "epochs=5", "training.epoch=5", "training.epochs=many", "=", "a.b=1"],
)
def test_a_change_that_cannot_be_is_refused(change: str) -> None:
    """A wrong form, an unknown path and a wrong value are all found."""
    with pytest.raises(InvalidSpec):
        with_changes(_config(), [change])


@given(metrics=scores)
def test_equal_metrics_are_equal_bit_for_bit(metrics: dict[str, float]) -> None:
    """The same numbers give the word, whatever they are."""
    lines = compare(metrics, metrics)
    assert lines[-1] == f"equal bit for bit in all {len(metrics)} metrics"


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
    assert lines[-1] == "equal bit for bit in all 1 metrics"


def test_the_recorded_thread_count_is_taken() -> None:
    """Sums over another number of threads differ in their last digits."""
    assert recorded_threads(_best(_config(), {})) == 1


def test_a_result_trains_again_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config is trained, its metrics are recorded, and the record is reproduced."""
    pytest.importorskip("torch")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path))
    spec = parse(
        {
            "name": "tiny",
            "dataset": {
                "format": "synthetic",
                "train": 4,
                "val": 2,
                "classes": ["road", "car"],
                "size": [32, 32],
            },
            "base": {
                "model": {
                    "decoder": "deeplabv3plus",
                    "encoder": "mobilenet_v2",
                    "mid_channels": 16,
                },
                "training": {"epochs": 1, "batch_size": 4},
            },
        }
    )
    config = resolve(spec.base, spec.dataset, {}, seed=3)
    file, out = tmp_path / "best.json", ["--out", str(tmp_path / "out"), "--device", "cpu"]
    metrics: dict[str, float] = {"miou": 2.0}
    for expected in ("different in 1 of 1", "equal bit for bit in all 1"):
        file.write_text(_best(config, metrics).model_dump_json())
        result = CliRunner().invoke(app, ["train", str(file), *out])
        assert expected in result.stdout, result.output
        metrics = {"miou": float(result.stdout.split("miou ")[-1].split(",")[0])}


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    """The message names the file and what is missing."""
    file = tmp_path / "best.json"
    file.write_text(json.dumps({"model": {}}))
    result = CliRunner().invoke(app, ["train", str(file)])
    assert result.exit_code == 2
    assert "dataset" in result.stderr
