"""A trainer that finds other data than its trial began with, and threads that a trial keeps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.samples import folder, write_folder, write_pair
from tuner.configs.resolve import resolve
from tuner.spec.config import Recipe, TrialConfig
from tuner.spec.messages import Action, OutcomeKind, Report, Verdict
from tuner.training.session import Session
from workers.protocol import Finished, Start
from workers.trainer import Trainer

RECIPE = {
    "model": {"decoder": "cnn", "encoder": "mobilenet_v3_small", "mid_channels": 8, "layers": 1},
    "training": {"epochs": 2, "batch_size": 2},
}


class Told(Session):
    """What a trainer says to its agent."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def report(self, report: Report) -> Verdict:
        """Take a report in; after the first epoch the agent wants the trial back."""
        self.reports.append(report)
        return Verdict(action=Action.YIELD)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Nobody listens here."""
        yield


@pytest.fixture
def config() -> TrialConfig:
    """Two epochs of one step."""
    return resolve(Recipe.model_validate(RECIPE), folder(), {}, seed=1)


def run(place: Path, config: TrialConfig, told: Any, **start: Any) -> Finished:
    """Have a new trainer of one thread train."""
    trainer = Trainer(told, "cpu", 1, place / "cache", (place,))
    return trainer.run(Start(config=config, folder=place / "files", last_step=0, **start))


def change(place: Path) -> None:
    """Put another mask in the place of one."""
    write_pair(place / "set", "train", "000", np.full((48, 70), 2))


def test_reports_name_the_data(tmp_path: Path, config: TrialConfig) -> None:
    """Every report says what the provenance says, from the first one on."""
    write_folder(tmp_path)
    told = Told()
    finished = run(tmp_path, config, told)
    assert finished.outcome.kind is OutcomeKind.YIELDED
    assert [report.data for report in told.reports] == [finished.outcome.provenance["data"]]


def test_a_warm_trainer_sees_that_files_changed(tmp_path: Path, config: TrialConfig) -> None:
    """The next trial of the same process is trained on the files as they are by then."""
    write_folder(tmp_path)
    told = Told()
    trainer = Trainer(told, "cpu", 1, tmp_path / "cache", (tmp_path,))  # type: ignore[arg-type]
    for _ in range(2):
        trainer.run(Start(config=config, folder=tmp_path / "files"))
        change(tmp_path)
    first, second = (report.data for report in told.reports)
    assert first != second


def test_a_trial_of_other_data_is_given_back(tmp_path: Path, config: TrialConfig) -> None:
    """Nothing is trained or reported; the server lets it begin anew."""
    write_folder(tmp_path)
    told = Told()
    start = {"data_version": "f" * 64, "resume": tmp_path / "nowhere.pt"}
    outcome = run(tmp_path, config, told, **start).outcome
    assert outcome.kind is OutcomeKind.OUTDATED
    assert told.reports == []
    assert outcome.provenance["data"] != "f" * 64


def test_a_checkpoint_of_other_data_is_dropped(tmp_path: Path, config: TrialConfig) -> None:
    """A trial that has reported nothing yet begins anew at once."""
    write_folder(tmp_path)
    before, after = Told(), Told()
    run(tmp_path, config, before)
    change(tmp_path)
    checkpoint = (tmp_path / "files" / "checkpoint.pt").rename(tmp_path / "resume.pt")
    run(tmp_path, config, after, resume=checkpoint)
    assert [report.step for report in after.reports] == [1]
    assert after.reports[0].data != before.reports[0].data


def test_a_trial_keeps_its_threads(tmp_path: Path, config: TrialConfig) -> None:
    """It trains with the count that it began with, not with this worker's own."""
    write_folder(tmp_path)
    for asked, used in ((None, 1), (2, 2)):
        outcome = run(tmp_path, config, Told(), threads=asked).outcome
        assert outcome.provenance["threads"] == used
