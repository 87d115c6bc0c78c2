"""What a user submits keeps its meaning, and its parts know their own rules."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.samples import document, few, spaces, study
from tuner.spec.config import DatasetConfig, DirectedMetric
from tuner.spec.study import Constraint, Objective, StudySpec


@few
@given(spaces(), st.sampled_from(["tpe", {"name": "tpe", "startup": 5}]))
def test_a_study_survives_json_and_yaml(space: dict[str, Any], sampler: Any) -> None:
    """Dumped and read again, a study is equal, sampler options included."""
    spec = study(space=space, search={"sampler": sampler})
    assert StudySpec.model_validate(json.loads(json.dumps(spec.dump()))) == spec
    assert StudySpec.model_validate(yaml.safe_load(yaml.safe_dump(spec.dump()))) == spec


def test_every_key_but_name_and_dataset_has_a_default() -> None:
    """The smallest study is a name and a data set."""
    spec = StudySpec.model_validate({"name": "small", "dataset": document()["dataset"]})
    assert spec.objective == Objective(metric="miou", direction="maximize")


def test_a_bare_name_is_a_strategy() -> None:
    """`sampler: tpe` says the same as `sampler: {name: tpe}`."""
    short = study(search={"sampler": "tpe"})
    assert short == study(search={"sampler": {"name": "tpe"}})


def test_objectives_must_differ() -> None:
    """The same metric twice is a mistake, not a weight."""
    with pytest.raises(ValidationError, match="must differ"):
        study(objectives=[{"metric": "miou"}, {"metric": "miou", "direction": "minimize"}])


def test_an_objective_counts_at_the_last_epoch_unless_it_says_otherwise() -> None:
    """What does not say it is stored as before, and its trials know of no best epoch."""
    last = study(objectives=[{"metric": "miou", "at": "last"}])
    best = study(objectives=[{"metric": "miou", "at": "best"}, {"metric": "dice"}])

    assert last == study(objectives=[{"metric": "miou"}])
    assert last.dump()["objectives"] == [{"metric": "miou", "direction": "maximize"}]
    assert last.best_by is None
    assert best.dump()["objectives"][0]["at"] == "best"
    assert best.best_by == DirectedMetric(metric="miou", direction="maximize")


@pytest.mark.parametrize(
    ("bounds", "value", "violation"),
    [
        ({"min": 0.5}, 0.4, 0.1),
        ({"min": 0.5}, 0.6, 0.0),
        ({"max": 30}, 45.0, 15.0),
        ({"min": 1, "max": 2}, 1.5, 0.0),
    ],
)
def test_a_violation_is_the_distance_from_the_bounds(
    bounds: dict[str, float], value: float, violation: float
) -> None:
    """Within the bounds it is zero."""
    constraint = Constraint.model_validate({"metric": "dice", **bounds})
    assert constraint.violation(value) == pytest.approx(violation)


@pytest.mark.parametrize("bounds", [{}, {"min": 2, "max": 1}])
def test_a_constraint_needs_bounds_that_can_hold(bounds: dict[str, float]) -> None:
    """No bound, or a lower one above the upper one, is refused."""
    with pytest.raises(ValidationError):
        Constraint.model_validate({"metric": "dice", **bounds})


@few
@given(st.floats(-1, 1), st.floats(-1, 1))
def test_key_and_is_better_agree(new: float, old: float) -> None:
    """Less by key is better by direction, for both directions."""
    for direction in ("maximize", "minimize"):
        objective = Objective.model_validate({"metric": "dice", "direction": direction})
        assert objective.is_better(new, old) == (objective.key(new) < objective.key(old))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "a"]}, "more than once: a"),
        ({"classes": ["a", "b.c"]}, "must not hold a dot or comma"),
        ({"ignore_index": 1}, "also the label of class 'car'"),
        ({"classes": ["a"]}, "at least 2"),
        ({"size": [8, 32]}, "greater than or equal to 16"),
    ],
)
def test_a_data_set_that_cannot_be_meant_is_refused(change: dict[str, Any], message: str) -> None:
    """Classes, ignore label and size are checked before anything is read."""
    with pytest.raises(ValidationError, match=message):
        DatasetConfig.model_validate({**document()["dataset"], **change})


def test_unknown_keys_are_refused() -> None:
    """A typo is not a silent default."""
    with pytest.raises(ValidationError, match="trails"):
        study(search={"trails": 5})


def test_objective_values_are_there_together_or_not_at_all() -> None:
    """They come in the order of the objectives; one that is missing leaves none."""
    spec = study(objectives=[{"metric": "iou.sky"}, {"metric": "mean_iou"}])

    assert (0.5, 0.25) == spec.objective_values({"mean_iou": 0.25, "iou.sky": 0.5, "loss": 1.0})
    assert spec.objective_values({"mean_iou": 0.25}) is None
