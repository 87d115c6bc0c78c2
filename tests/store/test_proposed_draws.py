"""What a study is told of good configs goes through the service into its trials."""

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import summaries
from tuner.store import studies, trials
from tuner.store.engine import Database


def test_a_prior_is_tried_after_the_base_recipe(clocked_database: Database) -> None:
    """Its config comes second, and the trial says whose it is."""
    search = {
        "sampler": "random",
        "pruner": "none",
        "trials": 8,
        "prior": {"configs": [{"augment.rotate": 11}], "weight": 0.0},
    }
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search=search))
    numbers = [fleet.take().trial for _ in range(3)]
    with clocked_database.reading() as session:
        study = studies.find(session, "streets")
        found = [trials.find(session, study, number) for number in numbers]
        views = [summaries.trial_view(session, study, trial) for trial in found]
        assert [view.source for view in views] == ["base", "prior", "sampler"]
        assert found[1].params["augment.rotate"] == 11
