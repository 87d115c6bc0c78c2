"""What both commands begin with: a trained model, its data, and where to work."""

from dataclasses import dataclass
from pathlib import Path

from tuner.cli.data_sets import check_changes, data_set
from tuner.cli.models import ModelSources, find_model, open_trained
from tuner.delivery.trained import TrainedModel
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
    check_changes(changes)
    model = find_model(target, sources)
    trained = open_trained(model, device=device)
    dataset = data_set(trained.dataset, data, changes, model=trained.name)
    if dataset.classes != trained.classes:
        message = (
            f"has the classes {', '.join(dataset.classes)}, {trained.name} was trained on "
            f"{', '.join(trained.classes)}"
        )
        raise InvalidInput([Problem(("--data",), message)])
    dataset = dataset.model_copy(update={"size": trained.size})
    config = trained.config.model_copy(update={"dataset": dataset})
    found = load(dataset, cache=settings.cache_folder, roots=settings.data_roots)
    return Original(trained, model.path, config, found, settings, device)
