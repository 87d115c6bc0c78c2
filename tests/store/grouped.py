"""Works that are certain to share one transaction."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from tuner.store.group import GroupCommit, Job, Need


def queued(
    group: GroupCommit,
    works: Mapping[str, tuple[Need, Callable[[Session], Any]]],
    *,
    until: threading.Event,
) -> dict[str, Any]:
    """Run the first work, which waits for `until`; by then the others are a group behind it."""
    answers = dict[str, Any]()

    def run(name: str, need: Need, work: Callable[[Session], Any]) -> None:
        try:
            answers[name] = group.run(Job(need, work))
        except Exception as error:
            answers[name] = error

    threads = [threading.Thread(target=run, args=(name, *work)) for name, work in works.items()]
    for before, thread in enumerate(threads):
        thread.start()
        while len(group._queue) < before or not group._is_led or (not before and group._queue):
            assert thread.is_alive()
    until.set()
    for thread in threads:
        thread.join(10)
    return answers


def share(group: GroupCommit, calls: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Make these calls at once, each of one work of the group; give their answers or errors."""
    gate, answers = threading.Event(), dict[str, Any]()

    def hold(_: Session) -> None:
        assert gate.wait(10)

    def call(name: str) -> None:
        try:
            answers[name] = calls[name]()
        except Exception as error:
            answers[name] = error

    first = threading.Thread(target=group.run, args=(Job(Need(0), hold),))
    threads = [first, *(threading.Thread(target=call, args=(name,)) for name in calls)]
    for before, thread in enumerate(threads):
        thread.start()
        while len(group._queue) < before or not group._is_led or (not before and group._queue):
            assert thread.is_alive()
    gate.set()
    for thread in threads:
        thread.join(10)
    return answers
