"""Checkpoints: whole or not there, and only for the run that they belong to."""

from pathlib import Path

import pytest
import torch

from tests.training import samples
from tuner.errors import CheckpointMismatch, TrainingError
from tuner.spec.messages import Report
from tuner.training import checkpoint
from tuner.training.checkpoint import Progress

ME = checkpoint.Owner(samples.config(), "data")


def save(folder: Path, epoch: int) -> Path:
    """A checkpoint of this epoch."""
    report = Report(step=1, metrics={"miou": 0.25}, confusion=((1, 2), (3, 4)))
    progress = Progress(epoch=epoch, cursor=3, loss_sum=1 / 3, seconds=2.5, reports=[report])
    return checkpoint.save(folder, ME, progress, {"weight": torch.arange(3.0)})


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    """Position, sums, reports and tensors survive the way to disk and back."""
    progress, state = checkpoint.load(save(tmp_path, 4), ME)
    assert (progress.epoch, progress.cursor, progress.loss_sum) == (4, 3, 1 / 3)
    assert progress.reports[0].confusion == ((1, 2), (3, 4))
    assert torch.equal(state["weight"], torch.arange(3.0))


def test_another_owner_is_refused(tmp_path: Path) -> None:
    """A config or data set that differs cannot take it up."""
    with pytest.raises(CheckpointMismatch, match="another config or another version of the data"):
        checkpoint.load(
            save(tmp_path, 1), checkpoint.Owner(samples.config({"optimizer.lr": 0.5}), "data")
        )


def test_a_damaged_file_falls_back_to_the_one_before(tmp_path: Path) -> None:
    """Half a file costs one epoch, not the trial."""
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:100])
    assert checkpoint.load(path, ME)[0].epoch == 1


def test_a_damaged_file_without_predecessor_is_an_error(tmp_path: Path) -> None:
    """There is nothing to fall back to, and the message names the file."""
    path = save(tmp_path, 1)
    path.write_bytes(b"")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read"):
        checkpoint.load(path, ME)


@pytest.mark.parametrize("damage", [b"", b"text", b"PK\x03\x04 cut off"])
def test_what_is_not_a_checkpoint_is_reported_in_one_line(tmp_path: Path, damage: bytes) -> None:
    """Nobody is advised to run the code that a file may hold."""
    path = save(tmp_path, 1)
    path.write_bytes(damage)
    with pytest.raises(TrainingError, match="it is damaged, or is not one") as found:
        checkpoint.load(path, ME)
    assert "\n" not in str(found.value)
    assert "trust" not in str(found.value)


def test_the_micro_batch_comes_back(tmp_path: Path) -> None:
    """A checkpoint of before there were micro-batches has none."""
    path = checkpoint.save(tmp_path, ME, Progress(micro_batch=2), {})
    assert checkpoint.load(path, ME)[0].micro_batch == 2
    body = torch.load(path, weights_only=True)
    del body["micro_batch"]
    torch.save(body, path)
    assert checkpoint.load(path, ME)[0].micro_batch is None


def test_a_writer_tells_of_what_lies_on_disk(tmp_path: Path) -> None:
    """Each once, in order, the last before its block ends; later changes are not in them."""
    told: list[tuple[int, int]] = []

    def saved(path: Path, step: int) -> None:
        told.append((step, checkpoint.load(path, ME)[0].epoch))

    progress = Progress()
    with checkpoint.Writer(tmp_path, ME, saved) as writer:
        for epoch in (1, 2, 3):
            progress.epoch = epoch
            writer.save(progress, {"weight": torch.ones(3)})
            progress.epoch = 99
    assert told == [(0, 1), (1, 2), (2, 3)]


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """It ends the trial where it is waited for, and nobody is told of it."""
    told: list[int] = []
    gone = tmp_path / "gone"
    with (
        pytest.raises(FileNotFoundError),
        checkpoint.Writer(gone, ME, lambda _, step: told.append(step)) as writer,
    ):
        writer.save(Progress(), {})
    assert told == []


def test_a_copy_is_not_the_state(tmp_path: Path) -> None:
    """Training goes on while it is written."""
    state = {"layers": [{"weight": torch.zeros(2)}], "rate": 0.1}
    copy = checkpoint.copied(state)
    state["layers"][0]["weight"].add_(1)  # type: ignore[index]  # of this test's own making
    assert torch.equal(copy["layers"][0]["weight"], torch.zeros(2))
    assert copy["rate"] == 0.1


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    """What is written beside its place is renamed into it."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {
        checkpoint.NAME,
        checkpoint.PREVIOUS,
    }


def test_what_a_killed_process_left_of_checkpoints_goes(tmp_path: Path) -> None:
    """Drafts of other files stay: the preview may be written at this very moment."""
    for name in (checkpoint.NAME, checkpoint.PREVIOUS, "preview.webp"):
        (tmp_path / f".part-0a1b2c3d-{name}").touch()
    with checkpoint.Writer(tmp_path, ME, lambda path, step: None):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".part-0a1b2c3d-preview.webp"]


def test_a_config_of_an_earlier_release_is_the_same_run(tmp_path: Path) -> None:
    """Which images test concerns no training, so that checkpoints outlive that option."""
    dataset = ME.config.dataset.model_copy(update={"test": 5})
    later = checkpoint.Owner(ME.config.model_copy(update={"dataset": dataset}), "data")
    assert later.config != ME.config
    assert checkpoint.load(save(tmp_path, 4), later)[0].epoch == 4
