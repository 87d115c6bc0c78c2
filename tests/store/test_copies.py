"""Copies: a weak trial ends, and a changed copy of a better one goes on in its place."""

from tests.store.fleet import Fleet
from tests.store.populations import EPOCHS, copies, population, run, save, train
from tests.store.story import assert_story_is_legal
from tuner.service import overview
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Action, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.store.engine import Database


def test_a_population_spends_no_more_than_its_first_trials_would(database: Database) -> None:
    """Copies take the places of those that ended, at the same epoch or further on."""
    fleet = Fleet(database)
    run(fleet, population(8))
    view = overview.study(database, "streets")
    assert view.state is StudyState.FINISHED
    assert copies(fleet)
    assert view.counts.pruned == len(copies(fleet))
    assert view.counts.completed == 8
    assert 4 * EPOCHS < view.epochs <= 8 * EPOCHS
    assert (view.budget, view.epochs_saved) == (8 + len(copies(fleet)), 0)
    assert_story_is_legal(overview.events(database, "streets", limit=10_000))


def test_a_copy_has_the_past_of_its_model_and_other_values_from_there(database: Database) -> None:
    """Its config tells both; so do its reports, and the trial whose place it took."""
    fleet = Fleet(database)
    seen = run(fleet, population(8))
    found = [overview.trial(database, "streets", number) for number in copies(fleet)]
    copy = next(trial for trial in found if trial.state is TrialState.COMPLETED)
    held = next(one for one in seen if one.trial == copy.number)
    assert copy.copies is not None
    model = overview.trial(database, "streets", copy.copies)
    change = copy.config.changes[-1]
    assert change.epoch == held.last_step + 1
    assert copy.config.until(held.last_step) == model.config.until(held.last_step)
    assert copy.params == {**model.params, **change.values}
    assert change.values
    assert held.resume is not None
    assert held.resume.step == held.last_step
    mine, its = (overview.steps(database, "streets", at) for at in (copy.number, copy.copies))
    for step, (own, other) in enumerate(zip(mine, its, strict=False), start=1):
        assert (own.metrics == other.metrics) == (step <= held.last_step)
    assert [step.step for step in mine] == list(range(1, EPOCHS + 1))
    ended = overview.trials(database, "streets", state=TrialState.PRUNED).items
    assert any(
        one.reason.endswith(f"a copy of trial {copy.copies} takes its place") for one in ended
    )


def test_a_copy_of_a_running_trial_lets_the_epoch_under_way_be(database: Database) -> None:
    """The stored checkpoint may lie within it."""
    fleet = Fleet(database)
    fleet.submit(population(5, parallel=8))
    held = [fleet.take(f"w{at}") for at in range(5)]
    for one, value in zip(held, (0.5, 0.9, 0.6, 0.7, 0.1), strict=True):
        save(fleet, one, 2)
        verdict = fleet.report(one, 1, 2, value=value).verdict
        assert (verdict.action is Action.PAUSE) == (value == 0.1)
    fleet.finish(held[-1], OutcomeKind.PAUSED)
    copy = fleet.take("w4")
    assert copy.config.changes[0].epoch == 4
    assert copy.last_step == 2
    assert copy.config.seed == held[1].config.seed


def test_without_a_checkpoint_to_copy_the_weak_goes_on(database: Database) -> None:
    """It says so."""
    fleet = Fleet(database)
    fleet.submit(population(5, parallel=8))
    held = [fleet.take(f"w{at}") for at in range(5)]
    for one, value in zip(held, (0.5, 0.9, 0.6, 0.7, 0.1), strict=True):
        fleet.report(one, 1, 2, value=value)
    fleet.finish(held[-1], OutcomeKind.PAUSED)
    assert fleet.take("w4").trial == held[-1].trial
    assert not copies(fleet)
    told = [event.data.get("reason", "") for event in overview.events(database, "streets")]
    assert any("none of the best can be copied" in reason for reason in told)


def test_a_population_repeats_across_a_restart(database: Database) -> None:
    """The same trials, the same copies, whatever the server forgot in between."""
    first = Fleet(database)
    run(first, population(8))
    wanted = [
        overview.trial(database, "streets", at).config for at in range(8 + len(copies(first)))
    ]

    second = Fleet(database)
    second.submit(population(8).model_copy(update={"name": "again"}))
    while (held := second.ask()) is not None:
        train(second, held)
        second = Fleet(database)
    found = [overview.trial(database, "again", at).config for at in range(len(wanted))]
    assert found == wanted


def test_a_changed_config_survives_the_store(database: Database) -> None:
    """As JSON and back."""
    fleet = Fleet(database)
    run(fleet, population(8))
    config = overview.trial(database, "streets", copies(fleet)[-1]).config
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
