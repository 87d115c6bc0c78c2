"""Where a trial comes from: which one it confirms or was copied from, and with which fresh seed.

Two columns say so since migration 0004. The release before it knows the sampler's attributes only:
while its servers may run beside ours, what they read there is written there as well, and what they
wrote is read from there. Samplers never see it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tuner.errors import Unreadable
from tuner.spec.sources import DRAWN_BY
from tuner.spec.states import TrialSource
from tuner.store.held import Seen
from tuner.store.tables import Trial

_PARENT: Mapping[str, str] = {TrialSource.CONFIRM: "confirms", TrialSource.COPY: "copies"}
_REPLICA: Mapping[str, str] = {TrialSource.CONFIRM: "seed"}


class Lineage(NamedTuple):
    """The number of the trial before, and the place of the fresh seed among a confirmation's."""

    parent: int | None
    replica: int | None


def of(trial: Trial) -> Lineage:
    """Where a trial comes from; both are None where it was drawn."""
    stored: object = trial.attrs
    known = stored if isinstance(stored, dict) else {}
    return Lineage(
        known.get(_PARENT.get(trial.source, "")) if trial.parent is None else trial.parent,
        known.get(_REPLICA.get(trial.source, "")) if trial.replica is None else trial.replica,
    )


def confirmed(trial: Trial) -> tuple[int, int]:
    """The leader that a trial trains again, and the place of its fresh seed. Raises Unreadable."""
    parent, replica = of(trial)
    if parent is None or replica is None:
        raise Unreadable(f"trial {trial.number} does not say which trial it confirms")
    return parent, replica


def of_samplers(trial: Trial | Seen) -> dict[str, Any]:
    """The attributes that a trial's sampler gave it; a trial that has a parent was not drawn."""
    return {} if trial.source in _PARENT else trial.attrs


def drawn_by(trial: Trial) -> str | None:
    """The one of several samplers that drew a trial; None where its study has one sampler."""
    stored: object = of_samplers(trial)
    name = stored.get(DRAWN_BY) if isinstance(stored, dict) else None
    return name if isinstance(name, str) else None


def as_attributes(source: str, parent: int | None, replica: int | None) -> dict[str, int]:
    """The lineage of a new trial as the release before the columns reads it."""
    named = ((_PARENT.get(source), parent), (_REPLICA.get(source), replica))
    return {key: value for key, value in named if key is not None and value is not None}
