"""Whether trials that failed say the same, so that those to come would say it too; pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tuner.spec.failures import essence, gist
from tuner.spec.kinds import ErrorKind
from tuner.spec.study import StudySpec
from tuner.wording import quantity

ENOUGH = 3  # the base recipe and two draws, or three draws
# Their first line says what happened, the others what the trainer last wrote.
_WITH_OUTPUT = frozenset({ErrorKind.CRASH, ErrorKind.HANG})
# What decides whether an image fits the device; where it is searched, other draws may fit.
_OF_MEMORY = ("model.", "training.")
_REMEDIES: Mapping[str, str] = {
    ErrorKind.DATA: "correct the files, or what the study says of them, and submit it anew",
    ErrorKind.EXCEPTION: "the trial's page has the traceback; correct the study and submit it anew",
    ErrorKind.OUT_OF_MEMORY: "choose a smaller model or size, or ask for more by "
    "resources.memory_gb, and submit it anew",
    ErrorKind.CRASH: "the trial's log has the trainer's last output; correct the cause and submit "
    "the study anew",
    ErrorKind.HANG: "the trial's page says where its trainer was; correct the cause and submit the "
    "study anew",
    ErrorKind.LOST_WORKER: "look on the workers' machines for what ended them, memory first, and "
    "submit the study anew",
}
_REMEDY = "correct the study and submit it anew"


class FailedTrial(NamedTuple):
    """A trial that failed."""

    number: int
    kind: str
    message: str
    step: int  # the last one that was reported
    params: Mapping[str, Any]


def alike(
    failures: Sequence[FailedTrial], spec: StudySpec, *, furthest: int
) -> Sequence[FailedTrial]:
    """The failures that say the same, if they are `ENOUGH` to tell what the next trials will say.

    Divergence never tells, because another learning rate may not diverge; memory tells where
    neither model nor batch are searched. Nor does a message tell that names a choice which all of
    them drew, or any where another trial got further than they did.

    Args:
        failures: of a study without any result, the first one first.
        furthest: the last step that any trial reported which has not failed.
    """
    groups = dict[tuple[str, str], list[FailedTrial]]()
    for each in failures:
        if _tells(each.kind, spec):
            message = _message(each)
            for said in dict.fromkeys([essence(message), essence(message, _choices(each))]):
                groups.setdefault((each.kind, said), []).append(each)
    for found in groups.values():
        numbers = {each.number for each in found}
        others = [each.step for each in failures if each.number not in numbers]
        is_last = max([furthest, *others]) <= max(each.step for each in found)
        if len(found) >= ENOUGH and is_last and not _named(found):
            return found
    return ()


def reason(found: Sequence[FailedTrial], failed: int) -> str:
    """Why a study ends of whose `failed` trials these failed alike."""
    first = found[0]
    among = quantity(failed, "trial")
    many = f"the first {among}" if len(found) == failed else f"{len(found)} of the first {among}"
    kind = f" ({first.kind})" if first.kind else ""
    said = gist(first.message).rstrip(".") or "no error was reported"
    remedy = _REMEDIES.get(first.kind, _REMEDY)
    return f"{many} failed alike: trial {first.number}{kind}: {said}; {remedy}"


def _tells(kind: str, spec: StudySpec) -> bool:
    """Whether a failure of this kind can say anything of trials with other params."""
    if kind == ErrorKind.OUT_OF_MEMORY:
        return not any(path.startswith(_OF_MEMORY) for path in spec.space.ordered)
    return kind != ErrorKind.DIVERGED


def _message(failure: FailedTrial) -> str:
    """The part of a message that would be the same if the same happened again."""
    if failure.kind == ErrorKind.LOST_WORKER:
        return ""  # who lost it, and how often
    message = failure.message
    return message.strip().split("\n", 1)[0] if failure.kind in _WITH_OUTPUT else message


def _choices(failure: FailedTrial) -> frozenset[str]:
    return frozenset(value for value in failure.params.values() if isinstance(value, str) and value)


def _named(found: Sequence[FailedTrial]) -> bool:
    """Whether all of the messages name a choice that all of the trials drew."""
    common = frozenset.intersection(*map(_choices, found))
    return any(
        all(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", _message(each)) for each in found)
        for value in common
    )
