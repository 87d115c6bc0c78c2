"""One line per event of a study: what `segtune watch` prints where there is no terminal."""

from collections.abc import Callable, Mapping
from typing import Any

from tuner.cli.show import sentences
from tuner.spec.events import EventKind
from tuner.spec.states import TrialSource
from tuner.spec.study import Objective
from tuner.spec.views import Event
from tuner.wording import params

_ENDED = frozenset({"finished", "cancelled", "failed"})


def line(event: Event, objective: Objective) -> str | None:
    """The event in words, after the time of day at which it happened (local time).

    None for what the next event tells anyway: a drawn trial starts at once.
    """
    if event.kind == EventKind.TRIAL_CREATED and event.data.get("source") != TrialSource.USER:
        return None
    return f"{event.created_at.astimezone():%H:%M:%S} {_words(event, objective)}"


def ends(event: Event) -> bool:
    """Whether the study has ended with this event."""
    return event.kind == EventKind.STUDY_FINISHED or (
        event.kind == EventKind.STUDY_CHANGED and event.data.get("state") in _ENDED
    )


def frees_a_trial(event: Event) -> bool:
    """Whether a trial has no worker since this event, and may find none."""
    return event.kind == EventKind.TRIAL_WAITING


def _words(event: Event, objective: Objective) -> str:
    what, _, happened = event.kind.partition(".")
    if what == "trial":
        tell = _TRIAL.get(happened, _moved)
        return f"trial {event.trial} {tell(event.data, objective)}"
    state = event.data.get("state")
    if happened == "warned":
        return f"warning: {event.data.get('text', '')}"
    if happened == "created" or state:
        return f"study {'created' if happened == 'created' else state}{_reason(event.data)}"
    changes = params({key: event.data[key] for key in event.data if key != "reason"})
    return f"study {happened} {changes}".rstrip()


def _created(data: Mapping[str, Any], objective: Objective) -> str:
    return "added by hand"


def _started(data: Mapping[str, Any], objective: Objective) -> str:
    return f"goes on after epoch {data['step']}" if data.get("step") else "started"


def _reported(data: Mapping[str, Any], objective: Objective) -> str:
    return f"epoch {data.get('step', '?')}{_measured(data, objective)}"


def _moved(data: Mapping[str, Any], objective: Objective) -> str:
    step = f" after epoch {data['step']}" if data.get("step") else ""
    state = data.get("state", "changed")
    return f"{state}{step}{_measured(data, objective)}{_reason(data)}"


def _measured(data: Mapping[str, Any], objective: Objective) -> str:
    value = data.get("value")
    return (
        f": {objective.metric} {sentences.number(value)}" if isinstance(value, int | float) else ""
    )


def _reason(data: Mapping[str, Any]) -> str:
    return f" ({data['reason']})" if data.get("reason") else ""


_TRIAL: Mapping[str, Callable[[Mapping[str, Any], Objective], str]] = {
    "created": _created,
    "started": _started,
    "reported": _reported,
}
