"""What a study has taught: what mattered, what failed and why, on both databases."""

import pytest

from tests.store.test_importance import played, report, submit
from tuner.errors import NotFound
from tuner.service import explanations, leases
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.store.engine import Database


def test_it_tells_what_mattered_with_its_uncertainty(database: Database) -> None:
    """The rotation alone makes the objective: it leads in most resamples, and the best share it."""
    fleet = played(database)

    found = explanations.explanation(fleet.db, "streets")

    first = found.importance[0]
    assert first.path == "augment.rotate"
    assert first.leading > 0.9
    assert first.low <= first.share <= first.high
    assert (found.trials, found.ended, found.epoch, found.failures) == (40, 40, 3, ())
    assert found.best is not None
    assert len(found.best.trials) == 4
    assert found.best.others == 36
    trait = found.best.traits[0]
    assert trait.path == "augment.rotate"
    assert trait.low is not None
    assert trait.low / 30 == pytest.approx(found.best.worst[0])
    assert trait.q_value < 0.05
    assert found.pairs == 1
    assert found.interactions[0].p_value > 0.05


def test_failures_are_grouped_by_kind_and_text(database: Database) -> None:
    """Texts that differ in numbers and paths are one, with the params that they share."""
    fleet = submit(database)
    for number in range(24):
        held = fleet.take()
        rotate = held.config.augment.options.get("rotate", 0)
        report(fleet, held, 1, miou=0.5 + number / 100, train_loss=1.0)
        if rotate > 15:
            error = f"out of memory at {number} images of /a/{held.lease}"
            error += "\n\nTraceback (most recent call last): …"
            outcome = Outcome(
                kind=OutcomeKind.FAILED, error=error, error_kind=ErrorKind.OUT_OF_MEMORY
            )
            leases.finish(fleet.db, held.lease, held.token, outcome)
        else:
            report(fleet, held, 2, 3, miou=0.5 + number / 100, train_loss=1.0)
            fleet.finish(held)

    (group,) = explanations.explanation(fleet.db, "streets").failures

    assert group.kind == "out_of_memory"
    assert group.text.startswith("out of memory at")
    assert "Traceback" not in group.text
    assert group.shared == {}
    assert group.traits[0].path == "augment.rotate"
    assert group.traits[0].low is not None
    assert group.traits[0].low > 15
    assert group.traits[0].others_in == 0


def test_a_single_failure_has_its_params(database: Database) -> None:
    """One trial has nothing in common with itself, and is shown as it is."""
    fleet = submit(database)
    held = fleet.take()
    outcome = Outcome(kind=OutcomeKind.FAILED, error="boom", error_kind=ErrorKind.EXCEPTION)
    leases.finish(fleet.db, held.lease, held.token, outcome)
    (group,) = explanations.explanation(fleet.db, "streets").failures
    assert (group.trials, group.traits) == ((0,), ())
    assert group.shared == {
        "optimizer.weight_decay": held.config.optimizer.weight_decay,
        "augment.rotate": held.config.augment.options.get("rotate", 0),
    }


def test_broken_constraints_are_told_like_failures(database: Database) -> None:
    """By constraint, with the trials that broke it."""
    fleet = played(database, 20, constraints=[{"metric": "miou", "min": 0.5}])
    (group,) = explanations.explanation(fleet.db, "streets").failures
    assert (group.kind, group.text) == ("constraint", "miou is to be at least 0.5")
    assert group.traits[0].path == "augment.rotate"


def test_a_study_without_trials_is_explained_too(database: Database) -> None:
    """Nothing is known, and nothing fails."""
    fleet = submit(database)
    found = explanations.explanation(fleet.db, "streets")
    assert (found.trials, found.importance, found.interactions, found.best) == (0, (), (), None)
    with pytest.raises(NotFound):
        explanations.explanation(fleet.db, "lost")
