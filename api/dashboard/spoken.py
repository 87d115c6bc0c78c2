"""Amounts and times in the reader's language: as `tuner.wording` says them in English."""

import re
from datetime import datetime

from api.dashboard.words import gettext as _
from api.dashboard.words import language, message
from tuner import wording
from tuner.spec.views import StudyView

# Names of values that pages and scripts look up: of states, outcomes, sources, files, and answers.
NAMES = (
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
    message("stopped"),
    message("yielded"),
    message("crashed"),
    message("hung"),
    message("outdated"),
    message("lost"),
    message("base"),
    message("sampler"),
    message("prior"),
    message("warm"),
    message("user"),
    message("confirm"),
    message("copy"),
    message("import"),
    message("checkpoint"),
    message("model"),
    message("log"),
    message("preview"),
    message("photos"),
    message("truth"),
    message("predictions"),
    message("maximize"),
    message("minimize"),
    message("epochs"),
    message("images"),
    message("hours"),
    message("minutes"),
    message("seconds"),
    message("top right"),
    message("top left"),
    message("bottom right"),
    message("bottom left"),
    message("yes"),
    message("no"),
)
# Titles of problems, which the error page looks up.
TITLES = (
    message("The input is not valid"),
    message("The request is not valid"),
    message("No component has this name"),
    message("Not found"),
    message("Not Found"),
    message("Method Not Allowed"),
    message("The present state does not allow this"),
    message("The lease has ended"),
    message("This state may not follow"),
    message("This release cannot read what is stored"),
    message("A valid token is needed"),
    message("The storage does not answer"),
    message("The bytes are not those announced"),
    message("The data set cannot be used"),
    message("The body cannot be read"),
    message("The body is too large"),
    message("The body does not come"),
    message("The server's disk is full"),
    message("The upload is at another offset"),
    message("Another request writes this upload"),
    message("The file is damaged"),
    message("Too many requests"),
    message("The body's type is not known here"),
    message("Refused"),
    message("Not a name of this server"),
    message("The server failed"),
)
# What pages count: Chinese puts a word between a number and its thing.
THINGS = {
    "attempt": message("%(amount)s attempts"),
    "class": message("%(amount)s classes"),
    "completed trial": message("%(amount)s completed trials"),
    "core": message("%(amount)s cores"),
    "ended trial": message("%(amount)s ended trials"),
    "epoch": message("%(amount)s epochs"),
    "other trial": message("%(amount)s other trials"),
    "param": message("%(amount)s params"),
    "seed": message("%(amount)s seeds"),
    "trial": message("%(amount)s trials"),
    "worker": message("%(amount)s workers"),
}
_PART = re.compile(r"([\d.,]+) (y|mo|d|h|min|s)\b")


def number(value: object) -> str:
    """Any scalar as a short text."""
    return _(wording.number(value)) if isinstance(value, bool) else wording.number(value)


def setting(value: object) -> str:
    """A value of a config, whole numbers without separators."""
    return _(wording.setting(value)) if isinstance(value, bool) else wording.setting(value)


def quantity(amount: float, thing: str) -> str:
    """A number of things; `thing` is the English word for one, one of `THINGS`."""
    english = wording.quantity(amount, thing)
    if language() == "en":
        return english
    return _(THINGS[thing]) % {"amount": english.partition(" ")[0]}


def trial(number: int) -> str:
    """A trial by its number."""
    return _("trial %(number)s") % {"number": number}


def titled(name: str) -> str:
    """A metric with the unit it is measured in, where its name does not end with that."""
    metric, between, unit = wording.titled(name).partition(" in ")
    return _("%(metric)s in %(unit)s") % {"metric": metric, "unit": unit} if between else metric


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
    said = {"epochs": wording.number(study.epochs_saved), "share": share}
    if not study.seconds_saved:
        return _("%(epochs)s saved by pruning (%(share)s)") % said
    said["time"] = duration(study.seconds_saved)
    return _("%(epochs)s saved by pruning (%(share)s, ~%(time)s)") % said


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
