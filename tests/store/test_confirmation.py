"""When a search is over its leaders train again with fresh seeds, and rank by those."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.search.rules import Rules
from tuner.service import overview, studies
from tuner.service.searches import observe
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import Confirmation, StudySpec
from tuner.spec.views import Best, CloneRequest, StudyChange, TrialSummary
from tuner.store import studies as study_rows
from tuner.store.engine import Database

VALUES = (0.3, 0.6, 0.5, 0.4)  # of the trials of the search: 1 leads, then 2
FRESH: Mapping[int, tuple[float, ...]] = {1: (0.50, 0.44), 2: (0.53, 0.472)}


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Workers of a study whose two leaders are trained with two fresh seeds each."""
    fleet = Fleet(database)
    fleet.submit(confirmed())
    return fleet


def confirmed(*, constraints: Sequence[Mapping[str, Any]] = (), **search: Any) -> StudySpec:
    """A study of four trials that confirms two leaders with two seeds."""
    settings = {"sampler": "random", "pruner": "none", "trials": 4, "parallel": 8}
    settings |= {"confirm": {"top": 2, "seeds": 2}, **search}
    return spec(search=settings, constraints=constraints)


def searched(fleet: Fleet, values: tuple[float, ...] = VALUES) -> None:
    """Train the search to its end."""
    for value in values:
        fleet.train(fleet.take(), value=value)


def confirm(fleet: Fleet, held: Assignment) -> None:
    """Train a confirmation to the value that its leader has with that seed."""
    trial = trial_of(fleet, held.trial)
    assert trial.confirms is not None
    place = [t.number for t in confirmations(fleet) if t.confirms == trial.confirms].index(
        held.trial
    )
    fleet.train(held, value=FRESH[trial.confirms][place])


def trial_of(fleet: Fleet, number: int) -> TrialSummary:
    """One trial."""
    return overview.trial(fleet.db, "streets", number)


def confirmations(fleet: Fleet) -> list[TrialSummary]:
    """The trials that confirm a leader, by number."""
    return [t for t in overview.trials(fleet.db, "streets").items if t.source == "confirm"]


def best(fleet: Fleet) -> Best:
    """The study's best."""
    return overview.best(fleet.db, "streets")


def state(fleet: Fleet) -> StudyState:
    """The study's state."""
    return overview.study(fleet.db, "streets").state


def test_leaders_train_again_with_the_same_fresh_seeds(fleet: Fleet) -> None:
    """Each leader's config comes back twice, changed in nothing but the seed."""
    searched(fleet)
    configs = {
        t.number: overview.trial(fleet.db, "streets", t.number).config for t in confirmations(fleet)
    }
    leaders = {n: overview.trial(fleet.db, "streets", n).config for n in (1, 2)}
    assert [t.confirms for t in confirmations(fleet)] == [1, 1, 2, 2]
    assert [c.seed for c in configs.values()][:2] == [c.seed for c in configs.values()][2:]
    assert len({c.seed for c in (*configs.values(), *leaders.values())}) == 4
    for trial in confirmations(fleet):
        leader = leaders[trial.confirms or 0]
        assert configs[trial.number] == leader.model_copy(
            update={"seed": configs[trial.number].seed}
        )


def test_the_best_is_the_one_that_fresh_seeds_confirm(fleet: Fleet) -> None:
    """The luckiest of the search is overtaken; its replacement keeps its own config and number."""
    searched(fleet)
    assert (best(fleet).trial, state(fleet)) == (1, StudyState.RUNNING)
    for _ in range(4):
        confirm(fleet, fleet.take())
    found = best(fleet)
    shown = found.confirmation
    assert state(fleet) is StudyState.FINISHED
    assert shown is not None
    assert (found.trial, found.metrics["miou"], shown.complete) == (2, 0.5, True)
    assert [(one.trial, one.mean) for one in shown.leaders] == [(2, 0.501), (1, 0.47)]
    assert shown.leaders[0].spread == pytest.approx(0.041, abs=1e-4)
    assert shown.lead == pytest.approx(0.031)
    assert shown.within_noise is False
    assert "trial 2 leads trial 1 by 0.0310 over 2 paired seeds" in shown.verdict
    assert overview.study(fleet.db, "streets").best_trial == 2


def test_half_a_confirmation_ranks_nobody(fleet: Fleet) -> None:
    """While fresh seeds still train, the search's own order stands, and it says so."""
    searched(fleet)
    for _ in range(3):
        confirm(fleet, fleet.take())
    found = best(fleet)
    assert found.trial == 1
    assert found.confirmation is not None
    assert found.confirmation.complete is False
    assert "still training" in found.confirmation.verdict


def test_a_failed_confirmation_does_not_hold_up_the_study(fleet: Fleet) -> None:
    """Its seed is missing from the leader's mean, and the study ends all the same."""
    searched(fleet)
    fleet.finish(fleet.take(), OutcomeKind.FAILED)
    for _ in range(3):
        confirm(fleet, fleet.take())
    shown = best(fleet).confirmation
    assert state(fleet) is StudyState.FINISHED
    assert shown is not None
    assert [(one.trial, one.values, one.lost) for one in shown.leaders] == [
        (2, (0.53, 0.472), 0),
        (1, (0.44,), 1),
    ]
    assert shown.pairs == 1


def test_confirmations_are_none_of_the_search(fleet: Fleet) -> None:
    """The sampler, peers at a rung, the history, the front and the plan of trials pass them by."""
    searched(fleet)
    confirm(fleet, fleet.take())
    with fleet.db.reading() as session:
        row = study_rows.find(session, "streets")
        seen = observe(session, row, Rules(confirmed()))
        assert [one.number for one in seen] == [0, 1, 2, 3]
    assert [point.trial for point in overview.history(fleet.db, "streets")] == [0, 1, 2, 3]
    assert [trial.number for trial in overview.pareto(fleet.db, "streets")] == [1]
    assert overview.study(fleet.db, "streets").budget == 8


def test_a_confirmation_is_never_judged(database: Database) -> None:
    """However badly a fresh seed does at a rung, it trains to its end."""
    fleet = Fleet(database)
    pruner = {"name": "asha", "min_step": 1, "eta": 2}
    fleet.submit(confirmed(pruner=pruner))
    searched(fleet, (0.4, 0.5, 0.6, 0.7))
    assert fleet.report(fleet.take(), 1, value=0.0).verdict.action is Action.CONTINUE


def test_a_spent_budget_leaves_leaders_unconfirmed(database: Database) -> None:
    """The study says so; more hours train what is missing, and what was broken off again."""
    fleet = Fleet(database)
    fleet.submit(confirmed(max_hours=27 / 3600))  # four trials and half a confirmation
    searched(fleet)
    held = fleet.take()
    status = fleet.report(held, 1, 2)
    assert status.verdict.action is Action.STOP
    fleet.finish(held, OutcomeKind.STOPPED)
    view = overview.study(database, "streets")
    assert (view.state, best(fleet).trial) == (StudyState.FINISHED, 1)
    assert "its leaders were not confirmed" in view.reason
    studies.change(database, "streets", StudyChange(max_hours=1))
    for _ in range(4):
        fleet.train(fleet.take())
    assert state(fleet) is StudyState.FINISHED
    shown = best(fleet).confirmation
    assert shown is not None
    assert [len(one.values) for one in shown.leaders] == [2, 2]


def test_a_larger_budget_confirms_only_new_leaders(fleet: Fleet) -> None:
    """Trials are added on top of the confirmations, and old leaders keep their seeds' values."""
    searched(fleet)
    for _ in range(4):
        confirm(fleet, fleet.take())
    studies.change(fleet.db, "streets", StudyChange(trials=5))
    fleet.train(fleet.take(), value=0.9)
    assert best(fleet).trial == 8
    assert [t.confirms for t in confirmations(fleet)] == [1, 1, 2, 2, 8, 8]
    for _ in range(2):
        fleet.train(fleet.take(), value=0.8)
    assert (state(fleet), fleet.ask()) == (StudyState.FINISHED, None)


def test_a_finished_study_can_be_confirmed_afterwards(database: Database) -> None:
    """Asking for confirmation reopens it for as long as that takes; asking again does not."""
    fleet = Fleet(database)
    fleet.submit(confirmed(confirm=None))
    searched(fleet)
    assert (state(fleet), best(fleet).confirmation) == (StudyState.FINISHED, None)
    change = StudyChange(confirm=Confirmation(top=1, seeds=1))
    assert studies.change(database, "streets", change).state is StudyState.RUNNING
    held = fleet.take()
    assert trial_of(fleet, held.trial).confirms == 1
    fleet.train(held)
    assert studies.change(database, "streets", change).state is StudyState.FINISHED


def test_cancelling_ends_what_waits_to_be_confirmed(fleet: Fleet) -> None:
    """A user's word ends the confirmation too; the search's order stays."""
    searched(fleet)
    confirm(fleet, fleet.take())
    studies.change(fleet.db, "streets", StudyChange(state="cancelled"))
    assert [t.state for t in confirmations(fleet)][1:] == [TrialState.CANCELLED] * 3
    assert best(fleet).trial == 1


def test_a_paused_study_confirms_once_it_goes_on(fleet: Fleet) -> None:
    """A search whose last trial ends while paused hands out its confirmations on resuming."""
    held = [fleet.take() for _ in VALUES]
    fleet.report(held[-1], 1, 2, 3)
    for one in held[:-1]:
        fleet.train(one)
    studies.change(fleet.db, "streets", StudyChange(state="paused"))
    fleet.finish(held[-1])
    assert (state(fleet), fleet.ask(), len(confirmations(fleet))) == (StudyState.PAUSED, None, 4)
    studies.change(fleet.db, "streets", StudyChange(state="running"))
    assert fleet.take().trial == 4


def test_a_clone_confirms_for_itself(fleet: Fleet) -> None:
    """The copy asks for confirmation as its original did, and starts with none."""
    searched(fleet)
    copy = studies.clone(fleet.db, "streets", CloneRequest())
    assert copy.spec.search.confirm == Confirmation(top=2, seeds=2)
    assert copy.budget == 4


def test_without_a_feasible_leader_nothing_is_confirmed(database: Database) -> None:
    """A study that found nothing within its bounds ends with its search."""
    fleet = Fleet(database)
    fleet.submit(confirmed(constraints=[{"metric": "miou", "min": 0.99}]))
    searched(fleet)
    assert (state(fleet), confirmations(fleet)) == (StudyState.FINISHED, [])


FRONT = {0: (0.5, 0.9), 1: (0.8, 0.8), 2: (0.6, 0.4), 3: (0.79, 0.79)}  # 0 is beaten
AGAIN = {1: [(0.7, 0.7), (0.5, 0.9)], 2: [(0.65, 0.4), (0.67, 0.6)]}


def test_several_objectives_confirm_members_of_the_front(database: Database) -> None:
    """The best by the first objective and the one that adds most, with each objective's mean."""
    both = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    fleet = Fleet(database)
    fleet.submit(confirmed().model_copy(update={"objectives": spec(objectives=both).objectives}))
    for miou, loss in FRONT.values():
        trained(fleet, miou, loss)
    assert [t.confirms for t in confirmations(fleet)] == [1, 1, 2, 2]
    assert best(fleet).trial == 1
    for values in AGAIN.values():
        for miou, loss in values:
            trained(fleet, miou, loss)
    shown = best(fleet).confirmation
    assert shown is not None
    assert (shown.complete, best(fleet).trial) == (True, 2)
    assert [(one.trial, one.on_front) for one in shown.leaders] == [(2, True), (1, False)]
    means = {name: one.mean for name, one in shown.leaders[0].objectives.items()}
    assert means == pytest.approx({"miou": 0.66, "train_loss": 0.5})
    assert shown.leaders[1].objectives["train_loss"].spread == pytest.approx(0.1414, abs=1e-4)
    assert (shown.lead, shown.p_value) == (None, None)
    assert shown.verdict == (
        "in the mean of the fresh seeds trial 2 is on the front; trial 1 is not"
    )


def trained(fleet: Fleet, miou: float, loss: float) -> None:
    """Take the next trial and train it to these values."""
    held = fleet.take()
    fleet.report(held, 1, 2, 3, value=miou, loss=loss)
    fleet.finish(held)
