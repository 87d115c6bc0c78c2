"""Why a trial was given back, and when its worker is asked again; pure.

A worker whose surroundings are broken must not fail a study's trials one by one. What it gives
back waits for another worker; it is itself asked again after a pause that doubles each time.
Only when every worker that could train the study says the same is it the study's own fault.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, ValidationError

from tuner.spec.config import Section
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Unfitness
from tuner.wording import quantity

FIRST = timedelta(seconds=5)
LONGEST = timedelta(minutes=10)
TRIES = 20  # that one worker may give a trial back, unless something of the study's is missing
AGREE = 2  # workers that make a reason the study's own
CONTENT = ErrorKind.DATA  # what a worker says of files that another worker could read
# What only some studies ask for: a worker that lacks it may train others.
_OF_STUDY = frozenset({Unfitness.DATA, Unfitness.WEIGHTS, Unfitness.PACKAGE})
_EVERYWHERE = ""  # about the worker itself, whatever it trains
_KEPT = timedelta(minutes=15)  # past its pause, a worker that never tried again is no longer unfit


class Unfit(Section):
    """What keeps a worker from one study, or from all; it may try again after `until`."""

    kind: str
    reason: str
    study: str | None = None
    count: int = 1
    until: AwareDatetime


Known = Mapping[str, Unfit]  # by the study's id as text, or "" for the worker itself


class Ruling(StrEnum):
    """What becomes of a trial that was given back."""

    WAIT = "wait"  # for another worker, or for this one to recover
    FAIL_TRIAL = "fail_trial"
    FAIL_STUDY = "fail_study"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt gave its trial back, and what follows."""

    kind: str
    ruling: Ruling
    reason: str


def decide(kind: str, *, agreeing: int, others: bool, trained: bool, tries: int) -> Ruling:
    """What becomes of a trial that a worker gave back.

    Args:
        agreeing: living workers, this one included, that are kept from the study by the same kind.
        others: whether another living worker could train it.
        trained: whether any trial of the study was ever trained: then its data exists.
        tries: how often this worker has given back this trial.
    """
    agreed = agreeing >= AGREE and not others
    if kind in _OF_STUDY:
        if agreed and not trained:
            return Ruling.FAIL_STUDY
        # Data that was there once may come back, and a package be installed; weights are this
        # trial's own choice.
        return Ruling.FAIL_TRIAL if agreed and kind == Unfitness.WEIGHTS else Ruling.WAIT
    if (kind == CONTENT and agreed) or tries >= TRIES:
        return Ruling.FAIL_TRIAL
    return Ruling.WAIT


def read(document: Mapping[str, Any] | None, *, now: datetime | None = None) -> dict[str, Unfit]:
    """What a worker's row says; with `now`, without what is too old to count."""
    known = dict[str, Unfit]()
    # What is not a mapping, by whichever release, keeps no worker from a study either.
    for about, one in document.items() if isinstance(document, Mapping) else ():
        with suppress(ValidationError):  # what another release wrote keeps nobody from work
            known[about] = Unfit.model_validate(one)
    if now is None:
        return known
    return {about: one for about, one in known.items() if now <= one.until + _KEPT}


def written(known: Known) -> dict[str, Any] | None:
    """The same as a row holds it."""
    return {about: one.model_dump(mode="json") for about, one in known.items()} or None


def bars(known: Known, study_id: int, *, now: datetime) -> bool:
    """Whether the worker is not to be offered that study yet."""
    found = (known.get(about) for about in (_EVERYWHERE, str(study_id)))
    return any(one is not None and now < one.until for one in found)


def noted(
    known: Known, kind: str, reason: str, *, study_id: int, study: str, now: datetime
) -> dict[str, Unfit]:
    """With one more reason to leave the worker in peace for a while: longer each time."""
    of_study = kind in {*_OF_STUDY, CONTENT}
    about = str(study_id) if of_study else _EVERYWHERE
    count = known[about].count + 1 if about in known else 1
    fresh = Unfit(
        kind=kind,
        reason=reason,
        study=study if of_study else None,
        count=count,
        until=now + pause(count),
    )
    return {**known, about: fresh}


def recovered(known: Known, study_id: int) -> dict[str, Unfit]:
    """Without what training a trial of that study has disproved."""
    return {about: one for about, one in known.items() if about not in {"", str(study_id)}}


def asked(known: Known, unfit: str | None, *, now: datetime) -> dict[str, Unfit]:
    """After a request for work, in which the worker says whether it can train at all."""
    about = _EVERYWHERE
    if unfit is not None:
        said = Unfit(kind=Unfitness.TRAINER, reason=first_line(unfit), until=now)
        return {**known, about: said}
    if about in known and known[about].kind == Unfitness.TRAINER:
        return {key: one for key, one in known.items() if key != about}
    return dict(known)


def pause(count: int) -> timedelta:
    """How long a worker is left in peace after so many failures in a row."""
    return min(LONGEST, FIRST * (1 << min(count - 1, 20)))


def agrees(known: Known, study_id: int, kind: str) -> bool:
    """Whether a worker is kept from that study by that kind of reason."""
    one = known.get(str(study_id))
    return one is not None and one.kind == kind


def kept_from(known: Known, study_id: int) -> str | None:
    """What keeps a worker from that study, in words; None where it may train it."""
    return described(
        {about: known[about] for about in (_EVERYWHERE, str(study_id)) if about in known}
    )


def described(known: Known) -> str | None:
    """All of a worker's reasons in words; None for a worker that is fit."""
    reasons = [f"{one.study}: {one.reason}" if one.study else one.reason for one in known.values()]
    return "; ".join(reasons) or None


def first_line(error: str | None) -> str:
    """The message of an error, without the traceback after it or the name of its class."""
    line = (error or "it gave no reason").split("\n", 1)[0].strip()
    name, colon, rest = line.partition(": ")
    return rest if colon and name.isidentifier() and name[:1].isupper() else line


def reason(ruling: Ruling, worker: str, error: str, *, workers: Collection[str], tries: int) -> str:
    """The ruling in words, for the trial."""
    if ruling is Ruling.WAIT:
        return f"worker {worker} cannot train it: {error}"
    if len(workers) >= AGREE:
        return f"workers {', '.join(sorted(workers))} agree: {error}"
    return f"worker {worker} gave it back {quantity(tries, 'time')}: {error}"


def warning(worker: str, error: str, *, others: bool) -> str:
    """What the study's owner should know of a worker that cannot train its trials."""
    if others:
        after = "its trials go to other workers, and it tries again by itself, ever more rarely"
    else:
        after = (
            "its trials wait until another worker comes or this is put right; the worker tries "
            "again by itself, ever more rarely"
        )
    return f"worker {worker} cannot train this study: {error}; {after}"
