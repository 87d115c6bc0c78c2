"""What `segtune evaluate` shows while it looks at images: a bar on a terminal, else nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counted(total: int, what: str) -> Iterator[Callable[[], None]]:
    """A function to call after each of so many images."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
