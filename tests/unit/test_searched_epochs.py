"""Epochs as one more param: where trials may differ in them, and what then counts."""

from typing import Any

import optuna
import pytest

from tests.unit.samples import completed, document, study
from tuner.cli.show import sentences
from tuner.configs import catalog
from tuner.configs.checks import parse
from tuner.configs.resolve import resolve
from tuner.errors import InvalidSpec
from tuner.optuna_encoding import distributions
from tuner.search.learning_curve import context_of
from tuner.search.observation import Observation
from tuner.search.optuna_import import imported_trials
from tuner.search.plan import plan, wall_hours
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.study import StudySpec
from tuner.spec.views import Plan as PlanView

PRUNERS: dict[str, dict[str, Any]] = {
    "none": {},
    "patience": {"epochs": 3},
    "threshold": {"lower": 0.1},
}
OTHERS = sorted({"auto", *catalog.names("pruner")} - PRUNERS.keys())
RANGE = {"int": [5, 40]}


def searched(epochs: Any = RANGE, pruner: Any = "none", **search: Any) -> dict[str, Any]:
    """A study of ten trials over a base recipe of 20 epochs."""
    space = {"training.epochs": epochs, "augment.rotate": {"int": [0, 30]}}
    return document(space=space, search={"trials": 10, "pruner": pruner, **search})


def spec(epochs: Any = RANGE, pruner: Any = "none", **search: Any) -> StudySpec:
    """The same, checked."""
    return parse(searched(epochs, pruner, **search))


@pytest.mark.parametrize("pruner", PRUNERS)
def test_epochs_may_be_searched_where_nobody_is_compared(pruner: str) -> None:
    """Every trial is then judged by itself alone, or not at all."""
    assert spec(pruner={"name": pruner, **PRUNERS[pruner]}).searches_epochs


@pytest.mark.parametrize("pruner", OTHERS)
def test_epochs_are_fixed_where_trials_are_compared(pruner: str) -> None:
    """The reason says what compares them, and what does not."""
    with pytest.raises(InvalidSpec) as caught:
        spec(pruner=pruner)
    (problem,) = caught.value.problems
    assert problem.location == ("space", "training.epochs")
    assert f"with pruner {pruner}, which compares trials at equal epochs" in problem.message
    assert "set search.pruner to none, patience or threshold" in problem.message


@pytest.mark.parametrize(
    ("epochs", "message"),
    [({"float": [5, 40]}, "whole numbers"), ({"int": [0, 9]}, "greater than or equal to 1")],
)
def test_a_range_of_epochs_is_checked_like_any_other(epochs: Any, message: str) -> None:
    """Epochs are whole, and at least one."""
    with pytest.raises(InvalidSpec, match=message):
        spec(epochs)


@pytest.mark.parametrize(
    ("epochs", "worst", "expected"),
    [
        ({"int": [5, 40]}, 20 + 9 * 40, 20 + 9 * 22.5),
        ({"int": [5, 15]}, 20 + 9 * 15, 20 + 9 * 10),
        ({"choice": [10, 30]}, 20 + 9 * 30, 20 + 9 * 20),
        ({"int": [1, 100], "log": True}, 20 + 9 * 100, 20 + 9 * 18.9),
    ],
)
def test_a_plan_counts_what_is_drawn(epochs: Any, worst: int, expected: float) -> None:
    """The base recipe its own, all others what they may draw, on average or at most."""
    found = plan(Rules(spec(epochs)))
    assert (found.worst_epochs, found.stages, found.rungs) == (worst, {}, ())
    assert found.expected_epochs == pytest.approx(expected, rel=0.06)


def test_a_conditional_range_leaves_the_others_at_the_base_recipes() -> None:
    """Half of the draws train forty epochs, the others twenty."""
    space = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "training.epochs": {"choice": [39, 41], "when": {"optimizer.name": "adamw"}},
    }
    found = plan(Rules(parse(document(space=space, search={"trials": 11, "pruner": "none"}))))
    assert found.worst_epochs == 20 + (found.trials - 1) * 41
    assert found.expected_epochs == pytest.approx(20 + (found.trials - 1) * 30, rel=0.05)


def test_confirmation_counts_the_longest_training() -> None:
    """The leaders may be those that trained the longest."""
    found = plan(Rules(spec(confirm={"top": 2, "seeds": 3})))
    assert found.confirm_epochs == 2 * 3 * 40
    assert found.worst_epochs == 20 + 9 * 40 + 240


def test_a_pruner_of_its_own_says_no_more_than_the_worst_case() -> None:
    """How long patience lasts cannot be foretold."""
    found = plan(Rules(spec(pruner={"name": "patience", "epochs": 3})))
    assert (found.expected_epochs, found.worst_epochs) == (None, 20 + 9 * 40)
    assert Rules(spec(pruner="threshold")).rungs[-1] == 39
    assert wall_hours(spec(parallel=50), 100, 3600, workers=50) == 40


def test_a_plan_says_it_in_words() -> None:
    """The sum that it shows is right."""
    found = plan(Rules(spec(confirm={"top": 1, "seeds": 1})))
    view = PlanView(
        spec=spec(),
        sampler=found.sampler,
        pruner=found.pruner,
        trials=found.trials,
        epochs=found.epochs,
        rungs=found.rungs,
        expected_epochs=found.expected_epochs,
        worst_case_epochs=found.worst_epochs,
        confirm_epochs=found.confirm_epochs,
        examples=(),
    )
    rows = dict(sentences.costs(view))
    assert rows["worst case"] == "20 + 9 × 40 + 40 = 420 epochs"
    assert "each trial its own" in rows["expected"]


def test_warm_up_and_bounds_reach_to_the_longest_training() -> None:
    """No trial is judged while it warms up, and a threshold holds as long as any trains."""
    base = {"training": {"epochs": 20}, "schedule": {"warmup": 0.1}}
    found = parse({**searched(pruner={"name": "threshold", "lower": 0.1}), "base": base})
    assert (context_of(found).epochs, context_of(found).warmup) == (40, 4)
    assert Rules(found).judged_steps == frozenset(range(5, 40))


@pytest.mark.parametrize("sampler", sorted(set(catalog.names("sampler")) - {"pbt"}))
def test_every_sampler_draws_epochs_like_any_number(sampler: str) -> None:
    """Trial 0 trains the base recipe's, the others what is drawn; and what is drawn is trained."""
    found = spec(
        {"int": [5, 40], "step": 5}, sampler=sampler if sampler != "grid" else "random", trials=10
    )
    suggester, drawn, new = Suggester(Rules(found)), list[int](), list[Observation]()
    for number in range(10):
        params = suggester.draw(new, number).params
        config = resolve(found.base, found.dataset, params)
        drawn.append(config.training.epochs)
        new = [completed(number, params)]
    assert drawn[0] == 20
    assert set(drawn) <= set(range(5, 41, 5))
    assert len(set(drawn)) > 2


def test_longer_trainings_are_learnt_to_be_better() -> None:
    """A sampler compares trials by how they ended, not where they stood at some epoch."""
    found = spec({"int": [1, 100]}, pruner={"name": "patience", "epochs": 9}, trials=60)
    suggester, drawn, new = Suggester(Rules(found)), list[int](), list[Observation]()
    for number in range(40):
        params = suggester.draw(new, number).params
        epochs = params["training.epochs"]
        drawn.append(epochs)
        new = [completed(number, params, epochs / 100)]
    assert sum(drawn[-10:]) / 10 > 70


def test_a_study_without_searched_epochs_is_as_it_was() -> None:
    """The base recipe's epochs are everybody's."""
    plain = study()
    assert (plain.searches_epochs, plain.most_epochs, plain.most_drawn_epochs) == (False, 20, 20)


def test_a_trial_from_elsewhere_keeps_the_steps_of_its_own_epochs() -> None:
    """More than the base recipe's where it trained longer, and none beyond its own."""
    theirs = optuna.create_study(direction="maximize")
    theirs.add_trial(
        optuna.trial.create_trial(
            params={"training.epochs": 30, "augment.rotate": 3},
            distributions=distributions(spec().space),
            value=0.5,
            intermediate_values={1: 0.1, 25: 0.4, 31: 0.9},
        )
    )
    (found,) = imported_trials(theirs, spec())
    assert found.steps == {1: 0.1, 25: 0.4}
