"""The model of a training whose best epoch counts is that epoch's, however it comes to its end."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training import samples
from tests.training.test_train import Script, after, assert_equal, run, weights
from tuner.errors import TrainingError
from tuner.spec.config import DirectedMetric, TrialConfig
from tuner.spec.messages import Action, BestStep, OutcomeKind, Report
from tuner.training import checkpoint
from tuner.training.best_epoch import BestEpoch
from tuner.training.data.load import Data

EPOCHS, BEST = 3, 2
# The share of a training's rate at an epoch's end: known before, and the most after the second.
RISING = {"schedule.warmup": 0.5, "training.epochs": EPOCHS}
BY = DirectedMetric(metric="lr", direction="maximize")


def config(by: DirectedMetric | None = BY, **params: Any) -> TrialConfig:
    """Three epochs of three steps, the second of which is the best."""
    return samples.config({**RISING, **params}).model_copy(update={"best_by": by})


@pytest.fixture(scope="module")
def straight(scenes: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Script]:
    """The uninterrupted run that all others are held against."""
    folder, script = tmp_path_factory.mktemp("straight"), Script()
    outcome = run(scenes, folder, script, config=config())
    assert (outcome.kind, outcome.step) == (OutcomeKind.COMPLETED, EPOCHS)
    assert outcome.provenance["model_epoch"] == BEST
    return folder, script


def at_epoch(scenes: Data, folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    """The weights that are scored after an epoch, as a training that knows of no best has them."""
    run(scenes, folder, Script(**{f"at_{epoch}": Action.PAUSE}), config=config(None))
    state = torch.load(folder / checkpoint.NAME, weights_only=True)["state"]
    found: dict[str, torch.Tensor] = state["average"]
    return found


def test_the_model_is_that_of_the_best_epoch(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """Its weights are the average's after that epoch, bit for bit."""
    folder, script = straight
    rates = [report.metrics["lr"] for report in script.reports]
    assert max(rates) == rates[BEST - 1]

    assert_equal(weights(folder), at_epoch(scenes, tmp_path, BEST))


@pytest.mark.parametrize("cut", [4, 8])
def test_a_cut_before_or_after_the_best_epoch_leaves_no_scar(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path, cut: int
) -> None:
    """Within the best epoch, and in the one after it: the model is the same."""
    first = run(scenes, tmp_path, Script(), config=config(), should_yield=after(cut))
    resume = tmp_path / checkpoint.NAME
    run(scenes, tmp_path, Script(), config=config(), resume=resume, last_step=first.step)

    assert_equal(weights(tmp_path), weights(straight[0]))


def test_an_epoch_that_is_trained_again_is_the_best_again(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """Its report was stored and its checkpoint is lost: it is not scored again, and kept."""
    run(scenes, tmp_path, Script(), config=config(), should_yield=after(2))
    best = BestStep(step=BEST, value=straight[1].reports[BEST - 1].metrics["lr"])
    script = Script()
    outcome = run(
        scenes,
        tmp_path,
        script,
        config=config(),
        resume=tmp_path / checkpoint.NAME,
        last_step=2,
        best=best,
    )

    assert [report.step for report in script.reports] == [3]
    assert outcome.provenance["model_epoch"] == BEST
    assert_equal(weights(tmp_path), weights(straight[0]))


def test_what_was_trained_on_less_is_not_the_best(scenes: Data, tmp_path: Path) -> None:
    """A whole training after one on fewer images: steps up to there are of other weights."""
    falling = DirectedMetric(metric="images", direction="minimize")
    outcome = run(scenes, tmp_path, Script(), config=config(falling), last_step=1)

    assert outcome.provenance["model_epoch"] == 2


def report(step: int, **metrics: float) -> Report:
    """The report of a step without a matrix."""
    return Report(step=step, metrics=metrics)


def looked(*reports: Report, by: DirectedMetric = BY) -> tuple[BestEpoch, nn.Linear]:
    """The best of these steps, of a network whose weight is the number of its step."""
    best, network = (
        BestEpoch(by, samples.CLASSES),
        nn.Linear(1, 1, bias=False).requires_grad_(False),
    )
    for one in reports:
        network.load_state_dict({"weight": torch.full((1, 1), float(one.step))})
        best.look(one.step, one, network)
    return best, network


@pytest.mark.parametrize(
    ("values", "step"),
    [((0.2, 0.2), 1), ((0.1, 0.2, 0.2), 2), ((None, 0.1), 2), ((0.1, None), 1)],
)
def test_the_earlier_of_equals_is_the_best_and_none_without_a_value(
    values: tuple[float | None, ...], step: int
) -> None:
    """What has no value at an epoch may be no number there."""
    best, network = looked(
        *(report(at, **({} if v is None else {"lr": v})) for at, v in enumerate(values, 1))
    )
    best.restore(network)

    assert (best.step, float(network.weight)) == (step, step)


def test_a_metric_that_is_not_reported_comes_from_the_matrix() -> None:
    """As the server derives it."""
    by = DirectedMetric(metric="recall.worst")
    good, bad = ((2, 0, 0), (0, 2, 0), (0, 0, 2)), ((2, 0, 0), (2, 0, 0), (0, 0, 2))
    best, _ = looked(
        Report(step=1, metrics={}, confusion=good), Report(step=2, metrics={}, confusion=bad), by=by
    )

    assert best.step == 1


def test_where_no_epoch_has_a_value_the_model_is_the_last() -> None:
    """There is nothing to choose by."""
    best, network = looked(report(1), report(2))
    best.restore(network)

    assert (best.step, float(network.weight)) == (None, 2)


def test_of_an_earlier_best_that_is_lost_nothing_is_kept() -> None:
    """A better one was reported since, so that the checkpoint's is not the best any more."""
    best, network = looked(report(1, lr=0.1))
    best.expect(BestStep(step=3, value=0.3), after=1)
    for step in (2, 3):
        network.load_state_dict({"weight": torch.full((1, 1), float(step))})
        best.look(step, None, network)
    best.look(4, report(4, lr=0.2), network)

    assert best.step == 3


def test_a_best_epoch_without_its_weights_is_not_replaced_by_the_last() -> None:
    """The server would give its value to another model."""
    best, network = looked(report(1, lr=0.1))
    best.expect(BestStep(step=3, value=0.3), after=1)

    with pytest.raises(TrainingError, match="step 3 is the best"):
        best.restore(network)


def test_a_checkpoint_without_the_best_epoch_before_it_is_refused() -> None:
    """It is not trained again, so that its weights can come from nowhere."""
    best, _ = looked()

    with pytest.raises(TrainingError, match="step 1 is the best"):
        best.expect(BestStep(step=1, value=0.3), after=2)
