"""The data set that a command scores or trains on: a model's own, or the one that is named."""

from pathlib import Path

from tuner.cli.documents import read_study
from tuner.cli.preview import read_config
from tuner.cli.train.retraining import with_changes
from tuner.configs.resolve import resolve
from tuner.errors import InvalidInput, Problem
from tuner.spec.config import DatasetConfig, Recipe


def check_changes(changes: tuple[str, ...]) -> None:
    """Raise InvalidInput for a change of anything but the data set."""
    for change in changes:
        if not change.startswith("dataset."):
            message = f"only the data set can be changed, as in dataset.root=FOLDER, not '{change}'"
            raise InvalidInput([Problem(("--set",), message)])


def data_set(
    own: DatasetConfig | None, data: Path | None, changes: tuple[str, ...], *, model: str
) -> DatasetConfig:
    """The data set in the study or result `data`, else a model's own, with changes laid over it.

    Raises:
        InvalidInput: there is neither, or a change is not possible.
    """
    if data is not None:
        own = read_config(data, read_study(data)).dataset
    if own is None:
        message = f"{model} does not say on what data it was trained; name a study or a best.json"
        raise InvalidInput([Problem(("--data",), message)])
    check_changes(changes)
    return with_changes(resolve(Recipe(), own, {}), changes).dataset
