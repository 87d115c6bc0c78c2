"""What a study may still spend: trials that are left to draw, and hours; pure."""

from datetime import datetime

from tuner.search.rules import Rules
from tuner.spec.study import StudySpec
from tuner.store.tables import Study
from tuner.wording import quantity


def may_draw(study: Study, rules: Rules) -> bool:
    """Whether the search has trials left to draw; neither confirmations nor copies are drawn."""
    return left(study, rules) > 0


def left(study: Study, rules: Rules) -> int:
    """How many trials the search has left to draw."""
    drawn = study.trial_count - study.confirmations - study.copies
    return max(0, rules.trial_limit - drawn)


def is_spent(study: Study, spec: StudySpec, *, now: datetime) -> bool:
    """Whether the study's hours are used up."""
    return bool(spent_reason(study, spec, now=now))


def spent_reason(study: Study, spec: StudySpec, *, now: datetime) -> str:
    """Which hours of a study are used up, in words; empty while it has time left.

    A deadline counts from the start of the first trial, by the database's clock, and does not
    wait for a paused study: after a long pause its owner can move it.
    """
    limits = spec.search
    if limits.max_hours is not None and study.seconds >= limits.max_hours * 3600:
        return f"the study's budget of {quantity(limits.max_hours, 'device hour')} is spent"
    lasted = (now - study.started_at).total_seconds() if study.started_at else 0.0
    if limits.max_wall_hours is not None and lasted >= limits.max_wall_hours * 3600:
        limit = quantity(limits.max_wall_hours, "hour")
        return f"the study's limit of {limit} since its first trial has passed"
    return ""
