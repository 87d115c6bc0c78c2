"""Amounts and times in the reader's language: as `tuner.wording` says them in English."""

import re
from datetime import datetime

from api.dashboard.words import gettext as _
from api.dashboard.words import language, message
from tuner import wording
from tuner.spec.views import StudyView

# What states are called: a template looks them up by their names.
STATES = (
    message("queued"),
    message("waiting"),
    message("running"),
    message("paused"),
    message("completed"),
    message("pruned"),
    message("finished"),
    message("failed"),
    message("cancelled"),
    message("busy"),
    message("draining"),
    message("drained"),
    message("idle"),
    message("unfit"),
    message("gone"),
)
_PART = re.compile(r"([\d.,]+) (y|mo|d|h|min|s)\b")


def number(value: object) -> str:
    """Any scalar as a short text."""
    return _(wording.number(value)) if isinstance(value, bool) else wording.number(value)


def setting(value: object) -> str:
    """A value of a config, whole numbers without separators."""
    return _(wording.setting(value)) if isinstance(value, bool) else wording.setting(value)


def quantity(amount: float, thing: str) -> str:
    """A number of things; `thing` is the English word for one."""
    english = wording.quantity(amount, thing)
    spoken = _(thing)
    return english if spoken == thing else f"{english.partition(' ')[0]} {spoken}"


def duration(seconds: float | None) -> str:
    """Seconds as the two largest units."""
    return _units(wording.duration(seconds))


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago."""
    english = wording.ago(moment, now)
    if language() == "en" or moment is None:
        return english
    if not english.endswith(" ago"):
        return _("just now")
    return _("%(span)s ago") % {"span": _units(english.removesuffix(" ago"))}


def savings(study: StudyView) -> str:
    """What pruning saved, of all that full trainings would have cost."""
    if not study.epochs_saved:
        return _("none saved by pruning")
    share = wording.percent(study.epochs_saved / (study.epochs + study.epochs_saved))
    time = f", ~{duration(study.seconds_saved)}" if study.seconds_saved else ""
    said = {"epochs": wording.number(study.epochs_saved), "share": share + time}
    return _("%(epochs)s saved by pruning (%(share)s)") % said


def _units(text: str) -> str:
    units = {
        "y": _("years"),
        "mo": _("months"),
        "d": _("days"),
        "h": _("hours"),
        "min": _("minutes"),
        "s": _("seconds"),
    }
    if language() == "en":
        return text
    return _PART.sub(lambda part: f"{part[1]} {units[part[2]]}", text)
