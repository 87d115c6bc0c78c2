"""`segtune preview`: draw what a configuration does to real samples, without training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import DataRootsOption, ServerOption, TokenOption, configured, connect, paths

if TYPE_CHECKING:
    from tuner.spec.config import TrialConfig

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", "--params", help="Change a value: augment.rotate=20; repeatable."),
]


def preview(  # noqa: PLR0913, PLR0917  # the options of the command
    file: Annotated[
        Path,
        typer.Argument(
            metavar="STUDY.YAML",
            exists=True,
            dir_okay=False,
            help="A study, or what `segtune best` wrote.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Image to write: .png, .webp or .jpg.")
    ] = Path("preview.png"),
    trial: Annotated[
        int | None,
        typer.Option(help="This trial of the study on the server; else the base recipe."),
    ] = None,
    changes: Changes = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="Rows of the sheet.")] = 4,
    epochs: Annotated[int, typer.Option(min=0, max=16, help="Augmented columns.")] = 3,
    data_root: DataRootsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Draw what a configuration does to real samples."""
    from tuner.cli.class_names import with_classes
    from tuner.cli.documents import read_study
    from tuner.cli.train.retraining import with_changes
    from tuner.training.data.load import load
    from tuner.training.preview.sheet import Look, described, sheet, write
    from workers.settings import WorkerSettings

    check_suffix(out)
    document = with_classes(read_study(file), paths(data_root))
    title = str(document.get("name") or document.get("study") or file.name)
    if trial is not None:
        config = connect(server, token).trial(title, trial).config
        title = f"{title}, trial {trial}"
    else:
        config = read_config(file, document)
    config = with_changes(config, changes or ())
    settings = configured(WorkerSettings, data_roots=paths(data_root))
    data = load(config.dataset, cache=settings.cache_folder, roots=settings.data_roots)
    look = Look(samples=samples, epochs=epochs, title=title)
    write(out, sheet(config, data.train, look))
    typer.echo(f"wrote {out}: {described(config)}")


def read_config(file: Path, document: dict[str, object]) -> "TrialConfig":
    """Trial 0 of a study, or the configuration of a result file. Raises InvalidInput."""
    from tuner.cli.documents import blaming, read_result
    from tuner.configs.checks import parse
    from tuner.configs.resolve import complete
    from tuner.configs.seeds import trial_config

    with blaming(file):
        if "config" in document or "name" not in document:
            return complete(read_result(file)[0])
        return trial_config(parse(document), {}, number=0)


def check_suffix(out: Path) -> None:
    """Raise InvalidInput when no image can be written under this name."""
    from tuner.errors import InvalidInput, Problem

    if out.suffix.lower() not in {".png", ".webp", ".jpg", ".jpeg"}:
        message = f"write .png, .webp or .jpg, not '{out.name}'"
        raise InvalidInput([Problem(("--out",), message)])
