"""What both commands begin with: a trained model, its data, and where to work."""

from dataclasses import dataclass
from pathlib import Path

from tuner.cli.documents import read_study
from tuner.cli.models import ModelSources, find_model
from tuner.cli.preview import read_config
from tuner.cli.train.retraining import with_changes
from tuner.delivery.trained import TrainedModel, open_model
from tuner.errors import InvalidInput, Problem
from tuner.spec.config import TrialConfig
from tuner.training.data.load import Data, load
from workers.settings import WorkerSettings


@dataclass(frozen=True, eq=False)
class Original:
    """A model to compress, its config with the data that are meant, and those data."""

    trained: TrainedModel
    path: Path
    config: TrialConfig
    data: Data
    settings: WorkerSettings
    device: str


def opened(
    target: str,
    sources: ModelSources,
    settings: WorkerSettings,
    *,
    device: str,
    data: Path | None,
    changes: tuple[str, ...],
) -> Original:
    """Open a model and its data set.

    Raises:
        InvalidInput: other classes than the model's, or another change than one of the data set.
        NotFound, DataError, TrainingError: as opening both raises them.
    """
    wrong = [each for each in changes if not each.startswith("dataset.")]
    if wrong:
        message = f"changes the data set alone, as dataset.root=FOLDER, not '{wrong[0]}'"
        raise InvalidInput([Problem(("--set",), message)])
    model = find_model(target, sources)
    trained = open_model(model.path, device=device, name=model.name)
    config = trained.config
    if data is not None:
        dataset = read_config(data, read_study(data)).dataset
        config = config.model_copy(update={"dataset": dataset})
    config = with_changes(config, changes) if changes else config
    if config.dataset.classes != trained.classes:
        message = (
            f"has the classes {', '.join(config.dataset.classes)}, {trained.name} was trained on "
            f"{', '.join(trained.classes)}"
        )
        raise InvalidInput([Problem(("--data",), message)])
    sized = config.dataset.model_copy(update={"size": trained.size})
    config = config.model_copy(update={"dataset": sized})
    found = load(config.dataset, cache=settings.cache_folder, roots=settings.data_roots)
    return Original(trained, model.path, config, found, settings, device)
