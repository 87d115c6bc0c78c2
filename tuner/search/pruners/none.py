"""Every trial is trained to its full budget."""

from collections.abc import Sequence

from tuner.search.course import Course, Setting
from tuner.spec.messages import Verdict

PEERS = False


def judged_steps(setting: Setting) -> frozenset[int] | None:
    """No step is judged."""
    return frozenset()


def should_prune(trial: Course, peers: Sequence[Course], setting: Setting) -> Verdict:
    """Continue."""
    return Verdict()
