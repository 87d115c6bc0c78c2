"""What several parts of a page ask of one snapshot, read once: nothing changes there meanwhile."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")
_ANSWERS = "answers"  # where a snapshot's session keeps them


def remembering() -> dict[Any, Any]:
    """The `info` of a session that is a snapshot."""
    return {_ANSWERS: {}}


def once(session: Session, question: Hashable, read: Callable[[], T]) -> T:
    """What `read` gives, which nobody may change; in a snapshot only the first time it is asked.

    In any other session it is read each time.
    """
    answers: dict[Hashable, T] | None = session.info.get(_ANSWERS)
    if answers is None:
        return read()
    if question not in answers:
        answers[question] = read()
    return answers[question]
