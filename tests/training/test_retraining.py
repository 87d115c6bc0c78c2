"""`segtune train` with a real training: repeated, interrupted, gone on with, on other data."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from tests.training.samples import folder, write_folder, write_pair
from tuner.cli.app import app
from tuner.cli.documents import read_result
from tuner.cli.train import progress
from tuner.configs.resolve import resolve
from tuner.spec.config import DirectedMetric, Recipe
from tuner.spec.views import Best

RECIPE = {
    "model": {"decoder": "cnn", "encoder": "mobilenet_v3_small", "mid_channels": 8, "layers": 1},
    "augment": {"flip": 0.5, "scale": [0.5, 2.0]},
    "training": {"epochs": 3, "batch_size": 2},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set of two steps per epoch and a best.json that records nothing true."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    write_folder(tmp_path, train=4)
    record(tmp_path, {"miou": 2.0})
    return tmp_path


def record(
    place: Path, metrics: dict[str, float], *, by: DirectedMetric | None = None, **provenance: Any
) -> None:
    """Write best.json."""
    config = resolve(Recipe.model_validate(RECIPE), folder(), {}, seed=3)
    config = config.model_copy(update={"best_by": by})
    told = {"threads": 1, **provenance}
    best = Best(study="s", trial=1, params={}, config=config, metrics=metrics, provenance=told)
    (place / "best.json").write_text(best.model_dump_json())


def train(*options: str) -> Result:
    """Run `segtune train best.json`."""
    return CliRunner().invoke(app, ["train", "best.json", "--device", "cpu", *options])


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let Ctrl-C be pressed before that optimizer step, once."""
    left = [step]

    def press(_: progress.Display) -> bool:
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr(progress.Display, "step", press)


def weights(out: str) -> dict[str, torch.Tensor]:
    """The final weights."""
    found: dict[str, torch.Tensor] = torch.load(Path(out) / "model.pt", weights_only=True)["model"]
    return found


def data_of(result: Result) -> str:
    """First digits of the fingerprint that the output names."""
    return result.stdout.split("data ")[1].split()[0]


def test_a_result_trains_again_to_the_same_bits(place: Path) -> None:
    """A config is trained, its metrics are recorded, and the record is reproduced."""
    first = train()
    assert "different in 1 of 1" in first.stdout, first.output
    record(place, {"miou": float(first.stdout.split("\nmiou ")[-1].split(",")[0])})
    assert "equal bit for bit in all 1 metric" in train().stdout


@pytest.mark.parametrize("step", [1, 4])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    place: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Ctrl-C anywhere, then --resume: weights and lines are those of one run, bit for bit."""
    whole = train("--out", "whole")
    with monkeypatch.context() as patched:
        stop_at(patched, step)
        cut = train("--out", "cut")
    assert cut.exit_code == 128 + signal.SIGINT, cut.output
    assert "--resume goes on" in cut.stdout
    assert not Path("cut/model.pt").exists()
    rest = train("--out", "cut", "--resume")
    assert rest.exit_code == 0, rest.output
    ours, theirs = weights("whole"), weights("cut")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    told = [line.partition(" (")[0] for line in whole.stdout.splitlines() if "/3:" in line]
    pieces = (cut.stdout + rest.stdout).splitlines()
    assert told == [line.partition(" (")[0] for line in pieces if "/3:" in line]


def test_a_result_of_the_best_epoch_is_that_epochs_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after it or not: the same numbers, and the weights that they are of."""
    # The first epoch has learnt the least, and has seen four images.
    record(place, {"images": 4.0}, by=DirectedMetric(metric="miou", direction="minimize"))
    whole = train("--out", "whole")
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        train("--out", "cut")
    cut = train("--out", "cut", "--resume")

    for said in (whole, cut):
        assert "of epoch 1: the best of them" in said.stdout, said.output
        assert "equal bit for bit in all 1 metric" in said.stdout
    ours, theirs = weights("whole"), weights("cut")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_where_no_epoch_has_a_value_none_is_called_the_best(place: Path) -> None:
    """The model is of the last epoch, and nothing else is said of it."""
    record(place, {"miou": 2.0}, by=DirectedMetric(metric="latency_ms", direction="minimize"))
    said = train()
    assert said.exit_code == 0, said.output
    assert "weights are in" in said.stdout
    assert "best of them" not in said.stdout


def test_going_on_keeps_the_threads(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare config records no threads; its checkpoint does."""
    config, _ = read_result(place / "best.json")
    (place / "best.json").write_text(config.model_dump_json())
    monkeypatch.setenv("SEGTUNE_THREADS", "1")
    with monkeypatch.context() as patched:
        stop_at(patched, 3)
        train()
    monkeypatch.setenv("SEGTUNE_THREADS", "2")
    assert "1 CPU thread" in train("--resume").stdout


def test_a_finished_training_is_gone_on_with_to_its_result(place: Path) -> None:
    """--resume after the end trains nothing more and compares again."""
    first = train()
    again = train("--resume")
    assert again.exit_code == 0, again.output
    assert first.stdout.split("\nmiou")[1] == again.stdout.split("\nmiou")[1]


def test_there_must_be_a_checkpoint_to_go_on_from(place: Path) -> None:
    """The message names the file that is not there."""
    result = train("--resume", "--out", "nothing")
    assert result.exit_code == 2
    assert "nothing/checkpoint.pt" in result.stderr


def test_changed_data_are_the_reason(place: Path) -> None:
    """Before anything is trained it is said that the number cannot come out, with exit code 1."""
    record(place, {"miou": 0.5}, data="f" * 64)
    result = train()
    assert result.exit_code == 1
    assert "the data changed" in result.stderr
    assert "--allow-other-data" in result.stderr
    assert not Path("trained").exists()


def test_other_data_may_be_allowed(place: Path) -> None:
    """Then it trains, and still names the data where the numbers differ."""
    record(place, {"miou": 2.0}, data="f" * 64)
    result = train("--allow-other-data", "--set", "seed=3")
    assert result.exit_code == 0, result.output
    assert f"the data: fingerprint {data_of(result)}, recorded ffffffffffff" in result.stdout


def test_who_names_another_data_set_means_it(place: Path) -> None:
    """A changed `dataset` is no changed data."""
    record(place, {"miou": 2.0}, data="f" * 64)
    result = train("--set", "dataset.size=[32, 32]")
    assert result.exit_code == 0, result.output


def test_a_checkpoint_of_other_data_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on would mix two data sets into one number."""
    with monkeypatch.context() as patched:
        stop_at(patched, 3)
        train()
    write_pair(place / "set", "train", "000", np.full((48, 70), 2))
    result = train("--resume")
    assert result.exit_code == 1
    assert "trained on other data" in result.stderr


def test_a_file_of_an_earlier_release_is_not_a_changed_one(place: Path) -> None:
    """Options that its release did not know are filled in, and the data are still compared."""
    record(place, {"miou": 2.0}, data="f" * 64)
    document = json.loads((place / "best.json").read_text())
    del document["config"]["dataset"]["test"]
    (place / "best.json").write_text(json.dumps(document))
    assert "the data changed" in train().stderr
    result = train("--allow-other-data")
    assert "the configuration was changed" not in result.stdout
