"""A training that learns from teachers: exact, taken up again, and held to the same classes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import samples
from tuner.configs.resolve import resolve
from tuner.errors import CheckpointMismatch, InvalidSpec, TrainingError, WeightsUnavailable
from tuner.spec.config import Recipe, TrialConfig
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.training import checkpoint
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.network.model_files import read_model
from tuner.training.network.weight_files import digest_of
from tuner.training.train import MODEL, optimizer_step, train
from tuner.training.train_state import TrainState

TEACHER = "teacher.pt"
TERMS = [
    {"name": "cross_entropy", "weight": 1.0},
    {"name": "distill", "weight": 0.5, "teacher": TEACHER},
    {"name": "distill", "weight": 0.5, "teacher": TEACHER, "kind": "channel"},
    {"name": "distill_features", "weight": 0.1, "teacher": TEACHER, "stages": 2},
]


def taught(params: dict[str, Any] | None = None, **loss: Any) -> TrialConfig:
    """Two epochs of the smallest network, which learns from labels and from the teacher."""
    small = {"decoder": "deeplabv3plus", "encoder": "tu-test_efficientnet", "mid_channels": 8}
    base = Recipe.model_validate(
        {
            "model": {**small, "low_channels": 4},
            "loss": loss or {"name": "sum", "terms": TERMS},
            "training": {"epochs": 2, "batch_size": 2, "ema": 0.9},
        }
    )
    return resolve(base, samples.synthetic(), params or {})


@pytest.fixture(scope="module")
def lessons(scenes: Data, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The scenes, and a teacher that was trained on them, below an allowed root."""
    root = tmp_path_factory.mktemp("root")
    train(samples.config(), scenes, samples.Reports(), folder=root)
    (root / MODEL).rename(root / TEACHER)
    return replace(scenes, roots=(root,))


def run(data: Data, folder: Path, config: TrialConfig, **options: Any) -> tuple[Outcome, Any]:
    """Train, and give the outcome with the tensors of the model, if there is one."""
    session = samples.Reports()
    left = options.pop("steps_before_a_cut", None)
    if left is not None:
        asked = iter(range(100))
        session.should_yield = lambda: next(asked) >= left  # type: ignore[method-assign]
    outcome = train(config, data, session, folder=folder, **options)
    if outcome.kind is not OutcomeKind.COMPLETED:
        return outcome, None
    return outcome, torch.load(folder / MODEL, weights_only=True)["model"]


def test_a_cut_leaves_no_scar(lessons: Data, tmp_path: Path) -> None:
    """Taken up again, the projections of features go on too, and the teacher is read anew."""
    config = taught({"model.decoder": "fcn"})  # it has an auxiliary output
    _, straight = run(lessons, tmp_path / "straight", config)

    cut, _ = run(lessons, tmp_path / "cut", config, steps_before_a_cut=4)
    saved = tmp_path / "cut" / checkpoint.NAME
    _, again = run(lessons, tmp_path / "cut", config, resume=saved, last_step=cut.step)

    assert [name for name in straight if not torch.equal(straight[name], again[name])] == []
    assert not any("projections" in name for name in straight)
    kept = torch.load(saved, weights_only=True)["state"]
    assert len(kept["model"]) == len(straight)


def test_the_provenance_names_the_teachers_bytes(lessons: Data, tmp_path: Path) -> None:
    """A number depends on what taught it."""
    outcome, _ = run(lessons, tmp_path, taught())
    digest = digest_of(lessons.roots[0] / TEACHER)
    assert outcome.provenance["teachers"] == {TEACHER: digest}


def test_another_teacher_under_the_name_is_refused(lessons: Data, tmp_path: Path) -> None:
    """A checkpoint does not go on with other lessons."""
    run(lessons, tmp_path, taught(), steps_before_a_cut=1)
    other = tmp_path / "root"
    other.mkdir()
    body = torch.load(lessons.roots[0] / TEACHER, weights_only=True)
    torch.save({**body, "note": "another"}, other / TEACHER)
    with pytest.raises(CheckpointMismatch, match="another teacher"):
        run(
            replace(lessons, roots=(other,)),
            tmp_path,
            taught(),
            resume=tmp_path / checkpoint.NAME,
        )


def test_parts_of_a_batch_hear_their_own_lesson(lessons: Data) -> None:
    """A batch in parts has the gradient of the whole, norms that keep their statistics given."""
    found = []
    for parts in (2, 1):
        config = taught(
            {"training.micro_batch": parts, "model.norm": "frozen", "model.dropout": 0.0},
            name="distill",
            teacher=TEACHER,
        )
        state = TrainState(config, lessons, DeviceContext(), 6)
        images = torch.from_numpy(lessons.train.images[:2]).permute(0, 3, 1, 2).float()
        labels = torch.zeros(2, *samples.SIZE, dtype=torch.int64)
        optimizer_step(state, images, labels, 0)
        found.append([each.grad for each in state.model.parameters() if each.grad is not None])
    for whole, parted in zip(*found, strict=True):
        torch.testing.assert_close(whole, parted, rtol=1e-3, atol=1e-5)


def test_the_teacher_stays_as_it_is(lessons: Data) -> None:
    """Neither a step nor a score moves its weights or its statistics."""
    state = TrainState(taught(), lessons, DeviceContext(), 6)
    (teacher,) = state.teachers._networks.values()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    images = torch.from_numpy(lessons.train.images[:2]).permute(0, 3, 1, 2).float()
    optimizer_step(state, images, torch.zeros(2, *samples.SIZE, dtype=torch.int64), 0)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not teacher.training


def test_the_network_comes_nearer_to_its_teacher(lessons: Data, tmp_path: Path) -> None:
    """Without a label, by the teacher's answers alone, the divergence falls."""
    params = {"optimizer.lr": 0.05, "training.epochs": 12}
    config = taught(params, name="distill", teacher=TEACHER)
    session = samples.Reports()
    train(config, lessons, session, folder=tmp_path)
    losses = [report.metrics["train_loss"] for report in session.reports]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": ("sky", "car", "road")}, r"3 classes \(sky, road, car\).*same order"),
        ({"classes": ("sky", "road")}, r"tells 3 classes .*the data set has 2"),
    ],
)
def test_a_teacher_of_other_classes_is_refused(
    lessons: Data, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    """Its answers would be about something else."""
    config = taught()
    dataset = config.dataset.model_copy(update=change)
    with pytest.raises(TrainingError, match=told):
        run(lessons, tmp_path, config.model_copy(update={"dataset": dataset}))


def ensemble(root: Path, *, digest: str | None = None) -> Path:
    """Write an ensemble of the teacher and another network, as the command does."""
    other = root / "other.pt"
    if not other.exists():
        body = torch.load(root / TEACHER, weights_only=True)
        head = next(name for name in body["model"] if name.endswith("head.weight"))
        body["model"][head] = body["model"][head].flip(0)
        torch.save(body, other)
    members = [
        {"trial": 0, "weight": 0.25, "path": TEACHER, "sha256": digest_of(root / TEACHER)},
        {"trial": 1, "weight": 0.75, "path": "other.pt", "sha256": digest or digest_of(other)},
    ]
    path = root / "ensemble.json"
    path.write_text(json.dumps({"kind": "ensemble", "members": members}))
    return path


def test_an_ensemble_teaches_the_mean_of_its_probabilities(lessons: Data) -> None:
    """Weighted, as it answers itself."""
    root = lessons.roots[0]
    ensemble(root)
    images = torch.from_numpy(lessons.train.images[:1]).permute(0, 3, 1, 2).float()
    parts = [
        read_model(root / name).network(images)[0].softmax(dim=1) for name in (TEACHER, "other.pt")
    ]
    config = taught(name="distill", teacher="ensemble.json")
    state = TrainState(config, lessons, DeviceContext(), 6)

    (found,) = state.teachers.lessons(images)

    answer = found["ensemble.json"].logits.softmax(dim=1)
    torch.testing.assert_close(answer, 0.25 * parts[0] + 0.75 * parts[1])
    assert state.teachers.digests == {"ensemble.json": digest_of(root / "ensemble.json")}


@pytest.mark.parametrize(
    ("loss", "digest", "text", "told"),
    [
        ("distill_features", None, None, "an ensemble, which has no features of its own"),
        ("distill", "0" * 64, None, r"other\.pt is not the model that was selected"),
        ("distill", None, "{}", "is JSON, but not an ensemble"),
        ("distill", None, "{", "is not JSON"),
        (
            "distill",
            None,
            '{"members": [{"path": "no.pt", "sha256": "", "weight": 1}]}',
            r"its member no\.pt does not lie beside it",
        ),
    ],
)
def test_an_ensemble_that_cannot_teach_is_refused(
    lessons: Data, loss: str, digest: str | None, text: str | None, told: str
) -> None:
    """With what is wrong about it."""
    path = ensemble(lessons.roots[0], digest=digest)
    if text is not None:
        path.write_text(text)
    with pytest.raises(TrainingError, match=told):
        TrainState(taught(name=loss, teacher=path.name), lessons, DeviceContext(), 6)


def test_a_teacher_that_is_not_there_is_another_workers_business(
    scenes: Data, tmp_path: Path
) -> None:
    """It is said like that of a file of weights."""
    with pytest.raises(WeightsUnavailable, match=r"teacher\.pt"):
        run(replace(scenes, roots=(tmp_path,)), tmp_path / "out", taught())


def test_a_teacher_that_is_no_model_is_refused(scenes: Data, tmp_path: Path) -> None:
    """Bare weights do not say which network they are of."""
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / TEACHER)
    with pytest.raises(TrainingError, match="not a model of segtune"):
        run(replace(scenes, roots=(tmp_path,)), tmp_path / "out", taught())


@pytest.mark.parametrize(
    ("loss", "place"),
    [
        ({"name": "distill"}, r"loss\.teacher"),
        ({"name": "sum", "terms": [{"name": "distill_features"}]}, r"loss\.terms\.0\.teacher"),
    ],
)
def test_a_loss_without_its_teacher_is_refused_at_once(loss: dict[str, Any], place: str) -> None:
    """At submission, not on a worker."""
    with pytest.raises(InvalidSpec, match=f"{place}: .* learns from a trained model; name its"):
        taught(**loss)
