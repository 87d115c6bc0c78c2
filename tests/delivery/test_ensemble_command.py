"""`segtune ensemble`: from a study's kept models to a file that opens as one predictor."""

import json
import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from typer.testing import CliRunner, Result

from tests.delivery.models import write_model
from tests.training import samples
from tuner.cli import ensemble as command
from tuner.cli import models
from tuner.cli.app import app
from tuner.delivery.ensemble import open_ensemble, read_ensemble
from tuner.delivery.trained import open_model
from tuner.errors import DataUnavailable, InvalidInput, NotFound
from tuner.spec.messages import ArtifactRef
from tuner.spec.study import Objective
from tuner.spec.views import Ranked


@dataclass
class Server:
    """Stands for a server with a study of trials that kept these models, the best first."""

    files: list[Path | None]
    metric: str = "miou"
    at: Literal["last", "best"] = "last"
    fetched: list[int] = field(default_factory=list)

    def study(self, study: str) -> Any:
        """A study over the scenes."""
        spec = SimpleNamespace(
            name="streets",
            objectives=(Objective(metric=self.metric, at=self.at),),
            dataset=samples.config().dataset,
        )
        return SimpleNamespace(spec=spec)

    def ranking(
        self, study: str, objective: str, *, direction: str | None = None
    ) -> tuple[Ranked, ...]:
        """The trials 10, 11, …"""
        count = range(len(self.files))
        return tuple(Ranked(rank=n + 1, trial=10 + n, value=0.5 - n / 100) for n in count)

    def trial(self, study: str, number: int) -> Any:
        """A trial with its model, if it was kept."""
        path = self.files[number - 10]
        kept = []
        if path is not None:
            digest = sha256(path.read_bytes()).hexdigest()
            kept = [ArtifactRef(id=number, name="model.pt", kind="model", size=1, sha256=digest)]
        return SimpleNamespace(
            number=number, config=samples.config(), artifacts=kept, data_version="another"
        )

    def download(self, artifact: int, path: Path) -> Path:
        """Copy the model."""
        found = self.files[artifact - 10] if artifact - 10 < len(self.files) else None
        if found is None:
            raise NotFound(f"there is no artifact {artifact}")
        self.fetched.append(artifact)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, path)
        return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path | None]:
    """Give three models and a trial that kept none."""
    folder = tmp_path_factory.mktemp("models")
    written = [write_model(folder / f"{seed}.pt", seed=seed) for seed in range(3)]
    return [written[0], None, *written[1:]]


@pytest.fixture
def server(files: list[Path | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """A server that the commands reach, and a home of their own."""
    found = Server(files)
    for module in (command, models):
        monkeypatch.setattr(module, "connect", lambda server, token: found)
    monkeypatch.setenv("SEGTUNE_HOME", str(tmp_path / "home"))
    return found


def run(*arguments: str) -> Result:
    """The command, with its exit code and what it says."""
    return CliRunner().invoke(app, ["ensemble", "streets", "--device", "cpu", *arguments])


def test_it_writes_a_file_that_opens_as_the_mean(server: Server, tmp_path: Path) -> None:
    """Members beside the file, weights that add up to 1, and the value said and stored."""
    out = tmp_path / "new" / "ensemble.json"

    done = run("--out", str(out))

    assert done.exit_code == 0, done.output
    document = read_ensemble(out)
    assert document.considered == 3
    assert document.images == 2
    assert document.classes == samples.CLASSES
    assert document.value >= document.single_best.value
    assert f"{document.value:.4f}" in done.stdout
    assert "3 of 3 models" in done.stderr  # were trained on other data
    assert sorted(server.fetched) == [10, 12, 13]

    shutil.rmtree(tmp_path / "home")
    moved = out.parent.rename(tmp_path / "moved") / "ensemble.json"
    opened = open_ensemble(moved)
    assert opened.dataset == samples.config().dataset
    images = torch.rand(2, 3, *samples.SIZE) * 255
    expected = torch.zeros(2, 3, *samples.SIZE)
    for member in document.members:
        logits = open_model(moved.parent / str(member.path)).logits(images)
        resized = torch.nn.functional.interpolate(logits, samples.SIZE, mode="bilinear")
        expected += member.weight * resized.softmax(1)
    assert torch.allclose(opened.logits(images).softmax(1), expected, atol=1e-6)


def test_its_metric_has_no_epoch(server: Server, tmp_path: Path) -> None:
    """Members are of epochs of their own, and the mean of none."""
    server.at = "best"
    out = tmp_path / "ensemble.json"
    assert run("--out", str(out), "--top", "2").exit_code == 0
    assert json.loads(out.read_text())["metric"] == {"metric": "miou", "direction": "maximize"}


def test_a_second_time_nothing_is_fetched_and_the_file_is_the_same(
    server: Server, tmp_path: Path
) -> None:
    """Models are kept, and nothing depends on chance."""
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    run("--out", str(first), "--top", "2")
    count = len(server.fetched)
    assert count == 2
    run("--out", str(second), "--top", "2")
    assert len(server.fetched) == count
    assert second.read_text().replace("b-models", "a-models") == first.read_text()


def test_members_come_from_the_server_where_they_are_not_beside_the_file(
    server: Server, tmp_path: Path
) -> None:
    """A member list alone is enough while the study's server has the models."""
    out = tmp_path / "ensemble.json"
    run("--out", str(out))
    shutil.rmtree(tmp_path / "ensemble-models")
    shutil.rmtree(tmp_path / "home")
    sources = models.ModelSources(tmp_path / "cache")
    found = models.open_predictor(models.find_model(str(out), sources), sources)
    assert found.name == "ensemble of streets"
    server.files = []
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(DataUnavailable, match="neither beside the ensemble nor on the server"):
        models.open_predictor(models.find_model(str(out), sources), sources)


def test_a_command_that_needs_one_model_refuses_an_ensemble(server: Server, tmp_path: Path) -> None:
    """It says to name a member."""
    out = tmp_path / "ensemble.json"
    run("--out", str(out))
    found = models.find_model(str(out), models.ModelSources(tmp_path / "cache"))
    with pytest.raises(InvalidInput, match="needs a single model"):
        models.open_trained(found)


def test_a_study_that_kept_no_model_says_so(server: Server, tmp_path: Path) -> None:
    """Completed trials without models give one message, and no file."""
    server.files = [None, None]
    done = run("--out", str(tmp_path / "e.json"))
    assert done.exit_code == 2
    assert "none of the best 2 completed trials of study 'streets' kept a model" in done.stderr
    assert not (tmp_path / "e.json").exists()


def test_a_model_of_another_number_of_classes_is_named(server: Server, tmp_path: Path) -> None:
    """The trial, its classes and those of the data."""
    config = samples.config()
    dataset = config.dataset.model_copy(update={"classes": ("sky", "road")})
    other = config.model_copy(update={"dataset": dataset})
    server.files = [server.files[0], write_model(tmp_path / "two.pt", other)]
    done = run("--out", str(tmp_path / "e.json"))
    assert done.exit_code == 1
    assert "trial 11 has 2 classes (sky, road), the validation split 3" in done.stderr
    assert not (tmp_path / "e.json").exists()


@pytest.mark.parametrize(
    ("metric", "said"),
    [("train_loss", "measured of one network"), ("iou.cat", "did you mean 'iou.car'")],
)
def test_a_metric_that_predictions_do_not_give_is_refused(
    server: Server, metric: str, said: str
) -> None:
    """The message says which metrics can be chosen by."""
    done = run("--objective", metric)
    assert (done.exit_code, said in done.stderr) == (2, True)


def test_a_file_that_cannot_be_written_is_known_before_the_work(
    server: Server, tmp_path: Path
) -> None:
    """A folder in the file's place is refused before anything is fetched."""
    done = run("--out", str(tmp_path))
    assert done.exit_code == 1
    assert "is a folder" in done.stderr
    assert server.fetched == []
