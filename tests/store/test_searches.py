"""What the sampler is told of the trials in the store."""

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.search.rules import Rules
from tuner.service import leases
from tuner.service.searches import observe
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.store import studies
from tuner.store.engine import Database


@pytest.mark.parametrize(
    ("error_kind", "trainable"), [("out_of_memory", False), ("diverged", False), ("data", True)]
)
def test_a_failure_counts_against_the_params_that_caused_it(
    clocked_database: Database, error_kind: str, trainable: bool
) -> None:
    """Running out of memory or numbers says something of the params; other failures do not."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    held = fleet.take()
    outcome = Outcome(kind=OutcomeKind.FAILED, error_kind=error_kind)
    leases.finish(clocked_database, held.lease, held.token, outcome)
    with clocked_database.reading() as session:
        seen = observe(session, studies.find(session, "streets"), Rules(spec()))
    assert [(held.trial, trainable)] == [(one.number, one.trainable) for one in seen]


def test_a_broken_bound_is_told_once_a_trial_has_completed(database: Database) -> None:
    """What a trial that stopped early did not reach says nothing of where it would have ended."""
    bounded = spec(
        constraints=[{"metric": "miou", "min": 0.5}, {"metric": "train_loss", "max": 0.5}]
    )
    fleet = Fleet(database)
    fleet.submit(bounded)
    fleet.train(fleet.take(), value=0.25)
    stopped = fleet.take()
    fleet.report(stopped, 1, value=0.25)
    fleet.finish(stopped, OutcomeKind.PRUNED)
    with database.reading() as session:
        seen = observe(session, studies.find(session, "streets"), Rules(bounded))
    assert [one.constraints for one in seen] == [(0.25, 0.5), ()]
