"""Classes of a data set that its files name, read where a study is written or submitted."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

_NEEDED = ("numpy", "PIL")  # to read annotations; the client alone works without


def with_classes(
    document: dict[str, Any], data_roots: tuple[Path, ...] | None = None
) -> dict[str, Any]:
    """The study with the categories of its COCO file as classes, where it names none.

    Nothing is changed where the file does not lie below a data root of this machine.

    Raises:
        DataError: the file exists but is not a COCO annotation file.
    """
    dataset = document.get("dataset")
    if not isinstance(dataset, Mapping) or not _asks(dataset) or not all(map(find_spec, _NEEDED)):
        return document
    from tuner.errors import DataError
    from tuner.training import paths

    try:
        base = paths.allowed(dataset.get("root") or ".", _roots(data_roots), what="the root")
    except DataError:
        return document
    classes = _classes(dataset, base)
    if classes is None:
        return document
    typer.echo(f"classes: {', '.join(classes)} (from the annotation file)", err=True)
    return {**document, "dataset": {**dataset, "classes": list(classes)}}


def _asks(dataset: Mapping[str, Any]) -> bool:
    """Whether a data set leaves its classes to its annotation file."""
    if dataset.get("format") != "coco":
        return False
    texts = [dataset.get(key, "") for key in ("root", "annotations", "train", "kind")]
    is_plain = all(isinstance(text, str) for text in texts)
    return is_plain and "classes" not in dataset and dataset.get("remap") is None


def _roots(given: tuple[Path, ...] | None) -> tuple[Path, ...]:
    from tuner.cli.options import configured
    from workers.settings import WorkerSettings

    return configured(WorkerSettings, data_roots=given).data_roots


def _classes(dataset: Mapping[str, Any], base: Path) -> tuple[str, ...] | None:
    from tuner.training.data.annotations import BACKGROUND, category_names
    from tuner.training.datasets.coco import document_of

    kind = dataset.get("kind", "instances")
    train = dataset.get("train", "train")
    document = document_of(base, kind, dataset.get("annotations", ""), train)
    if not document.is_file() or not document.resolve().is_relative_to(base):
        return None
    names = dataset.get("categories") or category_names(document)
    # Instances leave pixels over, which would be ignored; segments and stuff say all of them.
    if kind == "instances":
        return (BACKGROUND, *(name for name in names if name != BACKGROUND))
    return tuple(names)
