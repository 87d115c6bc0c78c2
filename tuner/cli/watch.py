"""`segtune watch`: follow a study until it ends."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import typer

from tuner.cli.options import ServerOption, StudyArgument, TokenOption, connect

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.spec.states import StudyState, TrialState
    from tuner.spec.views import Event, StudyView, TrialSummary

_REFRESH = 1.0


class Watched(Protocol):
    """The part of `tuner.client.Client` that watching needs."""

    def study(self, study: int | str) -> "StudyView":
        """One study."""

    def trials(
        self, study: int | str, *, state: "TrialState | str | None" = None
    ) -> Iterable["TrialSummary"]:
        """Trials of a study."""

    def events(self, study: int | str, after: int = 0) -> Iterator["Event"]:
        """Events of a study from a number on, and those to come."""


def watch(study: StudyArgument, server: ServerOption = None, token: TokenOption = None) -> None:
    """Follow a study until it ends.

    Exit code 0 if it finished, 1 if it failed or was cancelled.
    """
    raise typer.Exit(exit_code(follow(connect(server, token), study)))


def exit_code(state: "StudyState") -> int:
    """0 for a finished study, 1 for one that failed or was cancelled."""
    return 0 if state.value == "finished" else 1


def follow(client: Watched, study: int | str) -> "StudyState":
    """Show a study until it ends: a live picture on a terminal, else one line per event."""
    from rich.console import Console

    console = Console(markup=False, emoji=False)
    if console.is_terminal:
        return live(client, study, console)
    return plain(client, study, typer.echo)


def live(
    client: Watched,
    study: int | str,
    console: "Console",
    pause: Callable[[float], None] = time.sleep,
) -> "StudyState":
    """Redraw the study every second until it has ended."""
    from datetime import UTC, datetime

    from rich.live import Live

    from tuner.cli.show.screen import screen
    from tuner.spec.states import TrialState

    with Live(console=console, auto_refresh=False) as display:
        while True:
            view = client.study(study)
            running = tuple(client.trials(study, state=TrialState.RUNNING))
            display.update(screen(view, running, datetime.now(UTC)), refresh=True)
            if view.state.has_ended:
                return view.state
            pause(_REFRESH)


def plain(client: Watched, study: int | str, write: Callable[[str], None]) -> "StudyState":
    """Write one line per event, from the first on, until the study has ended."""
    from tuner.cli.show import narration, sentences

    view = client.study(study)
    waiting = _write_wait(view, None, write)
    for event in client.events(view.id):
        if line := narration.line(event, view.objective):
            write(line)
        if narration.ends(event) and (view := client.study(view.id)).state.has_ended:
            break
        if narration.frees_a_trial(event):  # perhaps its worker was the last
            waiting = _write_wait(client.study(view.id), waiting, write)
    write(f"{view.name} {view.state.value}: {sentences.counts(view)}; {sentences.best(view)}")
    if view.reason and view.state.value != "finished":
        write(f"reason: {view.reason}")
    return view.state


def _write_wait(view: "StudyView", written: str | None, write: Callable[[str], None]) -> str | None:
    """Write why the study waits, unless that is written already; gives what is written by now."""
    if view.waiting_for is not None and view.waiting_for != written:
        write(f"{view.name} waits: {view.waiting_for}")
    return view.waiting_for
