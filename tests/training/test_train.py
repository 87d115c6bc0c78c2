"""The loop: what it reports, how it ends, and that a cut leaves no scar."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training import samples
from tuner.errors import (
    CheckpointMismatch,
    DataError,
    Diverged,
    InvalidSpec,
    TrainingError,
)
from tuner.spec.config import Change, TrialConfig
from tuner.spec.messages import Action, Outcome, OutcomeKind, Report, Verdict
from tuner.spec.metrics import derive
from tuner.training import checkpoint
from tuner.training.batches import batches
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.failures import classify
from tuner.training.session import Session
from tuner.training.train import MODEL, optimizer_step, train
from tuner.training.train_state import TrainState

STEPS = 6  # two epochs of three
PATIENT = DeviceContext(checkpoint_seconds=1_000)


class Script(Session):
    """Collects reports, answers with a verdict per step, and asks for the trial when told to."""

    def __init__(self, **verdicts: Action) -> None:
        self.reports: list[Report] = []
        self.saved: list[int] = []
        self.is_wanted_back: Callable[[], bool] = lambda: False
        self._verdicts = {int(name.removeprefix("at_")): what for name, what in verdicts.items()}

    def report(self, report: Report) -> Verdict:
        """Take note of a report and judge it."""
        self.reports.append(report)
        return Verdict(action=self._verdicts.get(report.step, Action.CONTINUE))

    def should_yield(self) -> bool:
        """What the test says."""
        return self.is_wanted_back()

    def checkpoint_saved(self, path: Path, step: int) -> None:
        """Take note of a checkpoint."""
        assert path.exists()
        self.saved.append(step)


def run(data: Data, folder: Path, script: Script, **options: Any) -> Outcome:
    """Train `samples.config()`, or the config given."""
    config: TrialConfig = options.pop("config", None) or samples.config()
    script.is_wanted_back = options.pop("should_yield", lambda: False)
    return train(config, data, script, folder=folder, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors that a completed run left."""
    loaded = torch.load(folder / MODEL, weights_only=True)
    state: dict[str, torch.Tensor] = loaded["model"]
    return state


def after(steps: int) -> Callable[[], bool]:
    """Says yes when asked after this many optimizer steps."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= steps


@pytest.fixture
def dear_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is thought to take longer than a test, whatever the size of the network."""
    monkeypatch.setattr("tuner.training.cadence._BYTES_PER_SECOND", 1)


@pytest.fixture(scope="module")
def straight(scenes: Data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Script]:
    """The uninterrupted run that all others are held against."""
    folder, script = tmp_path_factory.mktemp("straight"), Script()
    assert run(scenes, folder, script).kind is OutcomeKind.COMPLETED
    return folder, script


def test_every_epoch_is_reported_once(straight: tuple[Path, Script]) -> None:
    """Two epochs, two reports, two checkpoints."""
    _, script = straight
    assert [report.step for report in script.reports] == [1, 2]
    assert script.saved == [1, 2]


class Recorder(Script):
    """Writes down what the loop calls, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def started(self, epoch: int, steps_per_epoch: int, provenance: Mapping[str, Any]) -> None:
        """Nothing was trained yet, and what the numbers depend on is known."""
        self.calls.append(f"started {epoch} {steps_per_epoch} {provenance['micro_batch']}")

    def should_yield(self) -> bool:
        """Before a step."""
        self.calls.append("step?")
        return False

    def heartbeat(self) -> None:
        """After a step, and after a batch that is scored."""
        self.calls.append("alive")

    def report(self, report: Report) -> Verdict:
        """After an epoch."""
        self.calls.append(f"report {report.step}")
        return super().report(report)


def test_a_session_hears_everything_in_order(scenes: Data, tmp_path: Path) -> None:
    """Before and after each step, during the score, and at the end of each epoch."""
    session = Recorder()
    run(scenes, tmp_path, session)
    epoch = [*["step?", "alive"] * 3, "alive"]
    assert session.calls == ["started 0 3 2", *epoch, "report 1", *epoch, "report 2"]


def test_metrics_derive_from_the_confusion_matrix(straight: tuple[Path, Script]) -> None:
    """Nothing but the matrix decides the scores; the loop adds loss, rate and pace."""
    for report in straight[1].reports:
        assert report.confusion is not None
        assert derive(report.confusion, samples.CLASSES).items() <= report.metrics.items()
        assert {"train_loss", "lr", "images_per_second", "data_wait"} <= report.metrics.keys()


def test_a_report_says_how_many_images_were_seen(straight: tuple[Path, Script]) -> None:
    """Counted since the first epoch, each as often as it was seen."""
    seen = [report.metrics["images"] for report in straight[1].reports]

    assert seen == [seen[0] * epoch for epoch in range(1, len(seen) + 1)]
    assert seen[0] > 0


@pytest.mark.usefixtures("dear_checkpoints")
def test_a_checkpoint_that_costs_too_much_waits(scenes: Data, tmp_path: Path) -> None:
    """A short run that may wait writes none, and ends with the same weights file."""
    script = Script()
    outcome = run(scenes, tmp_path, script, context=PATIENT)
    assert (outcome.kind, script.saved) == (OutcomeKind.COMPLETED, [])


@pytest.mark.usefixtures("dear_checkpoints")
@pytest.mark.parametrize("action", [Action.PAUSE, Action.YIELD, Action.STOP, Action.PRUNE])
def test_a_verdict_that_ends_a_run_saves_it(scenes: Data, tmp_path: Path, action: Action) -> None:
    """However long checkpoints may wait, the epoch that was judged is on disk at the end."""
    script = Script(at_1=action)
    run(scenes, tmp_path, script, context=PATIENT)
    assert script.saved == [1]


@pytest.mark.usefixtures("dear_checkpoints")
def test_a_run_goes_on_from_before_its_last_report(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """An epoch that was reported but not saved is trained again, and not reported again."""
    first, second = Script(), Script()
    run(scenes, tmp_path, first, should_yield=after(2))  # within epoch 1
    resume = tmp_path / checkpoint.NAME
    run(scenes, tmp_path, second, context=PATIENT, resume=resume, last_step=1)
    assert [report.step for report in second.reports] == [2]
    assert samples.timeless(second.reports) == samples.timeless(straight[1].reports)[1:]


def test_a_completed_run_leaves_weights_and_config(straight: tuple[Path, Script]) -> None:
    """The model file stands for itself: weights, and the config that made them."""
    loaded = torch.load(straight[0] / MODEL, weights_only=True)
    assert TrialConfig.model_validate_json(loaded["config"]) == samples.config()
    assert all(torch.isfinite(tensor).all() for tensor in loaded["model"].values())


def test_the_same_config_gives_the_same_numbers(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """A second run in a process with another random state ends bit for bit alike."""
    torch.manual_seed(99)
    script = Script()
    run(scenes, tmp_path, script)
    assert samples.timeless(script.reports) == samples.timeless(straight[1].reports)
    assert_equal(weights(tmp_path), weights(straight[0]))


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    """Bit for bit."""
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


@given(cuts=st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=2))
@settings(max_examples=4, deadline=None, derandomize=True)
def test_a_cut_anywhere_leaves_no_scar(
    straight: tuple[Path, Script], scenes: Data, cuts: list[int]
) -> None:
    """Cut between any two steps and taken up again, a run ends bit for bit as if it was not."""
    with TemporaryDirectory() as place:
        folder, script = Path(place), Script()
        resume, last = None, 0
        for cut in cuts:
            outcome = run(
                scenes, folder, script, should_yield=after(cut), resume=resume, last_step=last
            )
            if outcome.kind is OutcomeKind.COMPLETED:
                break
            assert outcome.kind is OutcomeKind.YIELDED
            resume, last = folder / checkpoint.NAME, outcome.step
        else:
            run(scenes, folder, script, resume=resume, last_step=last)
        assert samples.timeless(script.reports) == samples.timeless(straight[1].reports)
        assert_equal(weights(folder), weights(straight[0]))


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Action.PRUNE, OutcomeKind.PRUNED),
        (Action.PAUSE, OutcomeKind.PAUSED),
        (Action.STOP, OutcomeKind.STOPPED),
        (Action.YIELD, OutcomeKind.YIELDED),
    ],
)
def test_verdicts_are_obeyed(
    scenes: Data, tmp_path: Path, action: Action, kind: OutcomeKind
) -> None:
    """The run ends at once, with a checkpoint of the epoch that was judged."""
    script = Script(at_1=action)
    outcome = run(scenes, tmp_path, script)
    assert (outcome.kind, outcome.step) == (kind, 1)
    assert len(script.reports) == 1
    assert (tmp_path / checkpoint.NAME).exists()


def test_reports_that_never_arrived_are_sent_again(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """A worker that died between checkpoint and report leaves no gap."""
    resume = straight[0] / checkpoint.NAME
    script = Script()
    outcome = run(scenes, tmp_path, script, resume=resume, last_step=0)
    assert outcome.kind is OutcomeKind.COMPLETED
    assert script.reports == straight[1].reports
    script = Script()
    run(scenes, tmp_path, script, resume=resume, last_step=1)
    assert [report.step for report in script.reports] == [2]


def test_a_verdict_on_a_repeated_report_is_obeyed(scenes: Data, tmp_path: Path) -> None:
    """A trial that was pruned while its worker was away trains no further."""
    run(scenes, tmp_path, Script(at_1=Action.YIELD))
    script = Script(at_1=Action.PRUNE)
    outcome = run(scenes, tmp_path, script, resume=tmp_path / checkpoint.NAME, last_step=0)
    assert (outcome.kind, len(script.reports)) == (OutcomeKind.PRUNED, 1)


CHANGES = {"optimizer.lr": 0.003, "optimizer.weight_decay": 0.01, "augment.rotate": 2.0}


def changed(*changes: Change, **values: Any) -> TrialConfig:
    """The sample with changes on the way, and with values that hold from the start."""
    params = {path.replace("__", "."): value for path, value in values.items()}
    return samples.config(params).model_copy(update={"changes": changes})


@pytest.mark.parametrize(("cut", "epoch"), [(None, 2), (1, 3), (4, 3)])
def test_a_copy_that_goes_on_otherwise_is_a_run_of_its_own_config(
    scenes: Data, tmp_path: Path, cut: int | None, epoch: int
) -> None:
    """Taken up from the model's checkpoint, after an epoch or within one, it ends bit for bit as
    its config does when it is trained from nothing.
    """
    kept = {"training__epochs": 4}
    model, copy = changed(**kept), changed(Change(epoch=epoch, values=CHANGES), **kept)
    if cut is None:
        halted = run(scenes, tmp_path / "a", Script(at_1=Action.PAUSE), config=model)
    else:
        halted = run(scenes, tmp_path / "a", Script(), config=model, should_yield=after(cut))
    resume, last = tmp_path / "a" / checkpoint.NAME, halted.step
    run(scenes, tmp_path / "a", Script(), config=copy, resume=resume, last_step=last)

    fresh = Script()
    run(scenes, tmp_path / "b", fresh, config=copy)
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    rates = [report.metrics["lr"] for report in fresh.reports]
    plain = Script()
    run(scenes, tmp_path / "c", plain, config=model)
    assert rates[: epoch - 1] == [report.metrics["lr"] for report in plain.reports][: epoch - 1]
    assert rates[epoch - 1] < 0.5 * plain.reports[epoch - 1].metrics["lr"]


def test_a_checkpoint_beyond_a_change_is_refused(scenes: Data, tmp_path: Path) -> None:
    """What was trained with the old values cannot pass for what the new ones would have given."""
    run(scenes, tmp_path, Script(at_2=Action.PAUSE), config=changed(training__epochs=3))
    other = changed(Change(epoch=2, values=CHANGES), training__epochs=3)
    with pytest.raises(CheckpointMismatch):
        run(scenes, tmp_path, Script(), config=other, resume=tmp_path / checkpoint.NAME)


def test_a_checkpoint_of_another_config_is_refused(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """Half a run with one learning rate and half with another would be nobody's number."""
    other = samples.config({"optimizer.lr": 0.02})
    with pytest.raises(CheckpointMismatch):
        run(scenes, tmp_path, Script(), config=other, resume=straight[0] / checkpoint.NAME)


def test_provenance_says_what_the_number_depends_on(
    straight: tuple[Path, Script], scenes: Data, tmp_path: Path
) -> None:
    """Data, versions, device, batch and size of the network."""
    resume = straight[0] / checkpoint.NAME
    provenance = run(scenes, tmp_path, Script(), resume=resume, last_step=2).provenance
    assert provenance["data"] == scenes.fingerprint
    assert provenance["versions"].keys() == {"segtune", "torch", "timm", "python"}
    assert provenance["micro_batch"] == 2
    assert provenance["parameters"] > 50_000
    assert provenance["seconds"] > 0


def test_divergence_is_an_error_and_never_a_report(
    scenes: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that is no number ends the trial in words; the epoch before stands."""

    def broken(state: TrainState, images: Any, labels: Any, step: int) -> torch.Tensor:
        loss = optimizer_step(state, images, labels, step)
        return loss if step < 4 else loss * float("nan")

    monkeypatch.setattr("tuner.training.train.optimizer_step", broken)
    script = Script()
    with pytest.raises(
        Diverged, match=r"loss is nan since optimizer step 4 .epoch 2.*optimizer.lr"
    ):
        run(scenes, tmp_path, script)
    assert [report.step for report in script.reports] == [1]


def test_divergence_names_the_first_bad_step(scenes: Data) -> None:
    """Also where the device is not asked after every step."""
    state = TrainState(samples.config(), scenes, DeviceContext(), STEPS)
    for step, loss in enumerate((0.5, float("inf"), 0.5, float("nan"))):
        state.add_loss(torch.tensor(loss), step)
        state.progress.cursor = step + 1
    with pytest.raises(Diverged, match="since optimizer step 1 "):
        state.mean_loss(3)


def test_a_batch_larger_than_the_split_is_refused(scenes: Data, tmp_path: Path) -> None:
    """The sampled batch size is the trained one, or nothing is trained."""
    large = samples.config({"training.batch_size": 8})
    with pytest.raises(TrainingError, match="batch_size is 8, but the training split has 7 images"):
        run(scenes, tmp_path, Script(), config=large)


def test_an_epoch_holds_whole_batches_of_distinct_images(scenes: Data) -> None:
    """Seven images in batches of two make three steps without repetition."""
    still = {"augment.flip": 0.0, "augment.scale": [1, 1], "augment.rotate": 0}
    built = batches.Batches(scenes.train, samples.config({**still, "augment.colour": 0.0}), "cpu")
    seen = torch.cat([built.batch(1, position)[0] for position in range(built.per_epoch)])
    assert len(seen) == 6
    assert len(torch.unique(seen.flatten(1), dim=0)) == 6


def test_the_average_follows_the_model(scenes: Data) -> None:
    """Early on the average moves fast; it is what is scored."""
    built = TrainState(samples.config(), scenes, DeviceContext(), STEPS)
    given = batches.Batches(scenes.train, samples.config(), "cpu").batch(1, 0)
    before = {name: tensor.clone() for name, tensor in built.scored.state_dict().items()}
    optimizer_step(built, *given, 0)
    name = "decoder.head.weight"
    moved = built.model.state_dict()[name]
    expected = torch.lerp(before[name], moved, 0.9)
    torch.testing.assert_close(built.scored.state_dict()[name], expected)
    assert built.scored is not built.model


def test_compiling_is_a_choice_of_the_fast_tier(
    scenes: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is compiled in place, under its own names; exact numbers are not compiled."""
    compiled: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _, **how: compiled.append(how))
    config = samples.config({"training.determinism": "fast", "training.compile": True})
    built = TrainState(config, scenes, DeviceContext(), STEPS)
    assert compiled == [{"dynamic": False}]
    assert not [name for name in built.state_dict()["model"] if "_orig_mod" in name]
    with pytest.raises(InvalidSpec, match="determinism to fast"):
        samples.config({"training.compile": True})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (Diverged("nan"), "diverged"),
        (DataError("gone"), "data"),
        (RuntimeError("shape mismatch"), "exception"),
    ],
)
def test_failures_are_sorted(error: Exception, kind: str) -> None:
    """An outcome says what kind of thing went wrong."""
    assert classify(error) == kind


def test_a_part_of_a_training_is_reported_as_fewer_steps(scenes: Data, tmp_path: Path) -> None:
    """Six epochs that count as two: the third and the sixth are scored, and it never completes."""
    script = Script()
    config = samples.config({"training.epochs": 6})
    outcome = run(scenes, tmp_path, script, config=config, steps=2)
    assert (outcome.kind, outcome.step) == (OutcomeKind.PAUSED, 2)
    assert [report.step for report in script.reports] == [1, 2]
    assert script.saved[-1] == 2
    assert not (tmp_path / MODEL).exists()
    whole = Script()
    run(scenes, tmp_path / "whole", whole, config=config)
    final = whole.reports[-1]
    assert samples.timeless([script.reports[-1].model_copy(update={"step": 6})]) == (
        samples.timeless([final])
    )


def test_steps_reported_before_are_not_scored_again(scenes: Data, tmp_path: Path) -> None:
    """A training that begins anew after two steps tells the third; its time counts all epochs."""
    script = Script()
    config = samples.config({"training.epochs": 3})
    outcome = run(scenes, tmp_path, script, config=config, last_step=2)
    assert outcome.kind is OutcomeKind.COMPLETED
    (report,) = script.reports
    assert report.step == 3
    assert report.seconds == pytest.approx(outcome.provenance["seconds"])
