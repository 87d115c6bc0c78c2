"""`segtune check-data`: decode a study's data set here, and show what it holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import DataRootsOption, configured, paths
from tuner.wording import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tuner.training.data.inspection import DataReport


def check_data(
    file: Annotated[
        Path,
        typer.Argument(metavar="STUDY.YAML", exists=True, dir_okay=False, help="YAML or JSON."),
    ],
    data_root: DataRootsOption = None,
) -> None:
    """Read a study's data set and count its classes."""
    from tuner.cli.class_names import with_classes
    from tuner.cli.documents import blaming, read_study
    from tuner.cli.show import tables
    from tuner.configs.checks import parse
    from tuner.configs.checks.batches import size_problems
    from tuner.configs.resolve import resolve
    from tuner.errors import InvalidSpec
    from tuner.training.data.inspection import report, undefined
    from tuner.training.data.load import load
    from workers.settings import WorkerSettings

    settings = configured(WorkerSettings, data_roots=paths(data_root))
    document = with_classes(read_study(file), settings.data_roots)
    with blaming(file):
        spec = parse(document)
        dataset = resolve(spec.base, spec.dataset, {}).dataset
    data = load(dataset, cache=settings.cache_folder, roots=settings.data_roots)
    found = report(data, dataset)
    for line in facts(found):
        typer.echo(line)
    tables.show(tables.classes(found))
    metrics = [each.metric for each in spec.objectives]
    metrics += [each.metric for each in spec.constraints]
    for warning in (*undefined(found, metrics), *found.warnings):
        typer.echo(f"warning: {warning}", err=True)
    if wrong := size_problems(spec, found.train):
        raise InvalidSpec(wrong)


def facts(found: "DataReport") -> "Iterator[str]":
    """Lines on the data set as a whole."""
    yield f"{found.train} training and {quantity(found.val, 'validation image')} can be used"
    mean, std = (
        ", ".join(f"{value:.1f}" for value in values) for values in (found.mean, found.std)
    )
    yield f"{quantity(found.channels, 'channel')} of {found.dtype}; mean {mean}; deviation {std}"
    sizes = ", ".join(f"{height}×{width}" for height, width in found.label_sizes[:3])
    more = f" and {len(found.label_sizes) - 3} more" if len(found.label_sizes) > 3 else ""
    yield f"validation labels are {sizes}{more} (height×width)"
    yield f"ignored: {found.ignored[0]:.1%} of training and {found.ignored[1]:.1%} of validation"
    yield f"fingerprint {found.fingerprint}"
