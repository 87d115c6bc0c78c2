"""What the sampler is told of the trials in the store."""

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import leases
from tuner.service.searches import observe
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.store import studies, trials
from tuner.store.engine import Database


@pytest.mark.parametrize(("error_kind", "fits"), [("out_of_memory", False), ("diverged", True)])
def test_a_trial_that_no_device_held_does_not_fit(
    clocked_database: Database, error_kind: str, fits: bool
) -> None:
    """Running out of memory says something of the params; other failures do not."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    held = fleet.take()
    outcome = Outcome(kind=OutcomeKind.FAILED, error_kind=error_kind)
    leases.finish(clocked_database, held.lease, held.token, outcome)
    with clocked_database.reading() as session:
        changed = trials.changed_since(session, studies.find(session, "streets"), 0)
        seen = {one.number: one.fits for one in observe(session, spec(), changed)}
    assert seen[held.trial] is fits
