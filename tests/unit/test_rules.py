"""What a study means for its search is worked out once, and never changes."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from tests.unit.samples import study
from tuner.errors import UnknownComponent
from tuner.search.rules import Rules

SEARCHES: dict[str, dict[str, Any]] = {
    "auto": {},
    "judging": {"sampler": "pbt"},
    "own": {"sampler": {"name": "tpe", "startup": 3}, "pruner": {"name": "asha", "eta": 4}},
    "every step": {"pruner": "median"},
    "staged": {"fidelity": "data"},
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_each_rule_is_worked_out_once(search: dict[str, Any]) -> None:
    """Whoever asks again gets the same objects."""
    rules = Rules(study(search=search))
    for name in ("pruner", "context", "judged_steps", "rungs", "base_params"):
        assert getattr(rules, name) is getattr(rules, name), name


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_rungs_and_judged_steps_agree(search: dict[str, Any]) -> None:
    """The rungs are the judged steps, rising, all of them before the last step."""
    rules = Rules(study(search=search))
    epochs = rules.spec.most_epochs
    assert rules.rungs == tuple(step for step in range(1, epochs) if rules.is_judged(step))


def test_rules_of_equal_studies_are_equal() -> None:
    """A search is kept as long as they are, whoever parsed the document."""
    first, second = Rules(study()), Rules(study())
    assert first.rungs == second.rungs
    assert first == second
    assert first != Rules(study(search={"trials": 5}))


def test_rules_cannot_be_changed() -> None:
    """Threads share them."""
    rules: Any = Rules(study())
    with pytest.raises(FrozenInstanceError):
        rules.spec = study(search={"trials": 5})


def test_a_component_that_is_gone_is_named_when_it_is_asked_for() -> None:
    """What does not need it can still be said of the study."""
    rules = Rules(study(search={"pruner": "zzz"}))
    assert rules.trial_limit == 60
    assert rules.pruner_name == "zzz"
    with pytest.raises(UnknownComponent, match="no pruner is called 'zzz'"):
        _ = rules.judged_steps


def test_options_of_the_study_reach_the_pruner() -> None:
    """Those that it does not set have the pruner's own defaults."""
    rules: Any = Rules(study(search={"pruner": {"name": "asha", "eta": 4}}))
    assert (rules.pruner.eta, rules.pruner.min_step, rules.pruner.merge) == (4, None, True)
    assert (
        Rules(study(search={"pruner": "asha"})).pruner
        == Rules(study(search={"pruner": {"name": "asha", "eta": 3}})).pruner
    )
