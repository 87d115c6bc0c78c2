"""A trial is cloned with edited params: each path has its control, each mistake its place."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.clone_form import CloneForm, clone_form, read, refused
from tests.store.samples import spec
from tuner.configs.seeds import trial_config
from tuner.errors import Problem
from tuner.spec.states import TrialState
from tuner.spec.views import TrialView

SGD = {
    "optimizer.name": "sgd",
    "optimizer.lr": 0.02,
    "optimizer.weight_decay": 1e-4,
    "training.batch_size": 8,
    "augment.rotate": 10,
}


def trial(params: dict[str, Any]) -> TrialView:
    """A trial with these params."""
    return TrialView(
        number=3,
        state=TrialState.COMPLETED,
        params=params,
        epochs=3,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        study_id=1,
        study="streets",
        config=trial_config(spec(), params, 3),
    )


def form(params: dict[str, Any] | None = None) -> CloneForm:
    """The form to clone a trial with."""
    return clone_form(spec(), trial(SGD if params is None else params))


def filled(start: CloneForm, **changes: str) -> dict[str, str]:
    """What a browser sends; `lr_1` stands for the control `optimizer.lr@1`."""
    known = {"name": "optimizer.name@0", "lr_0": "optimizer.lr@0", "lr_1": "optimizer.lr@1"}
    known |= {"batch": "training.batch_size@0", "rotate": "augment.rotate@0"}
    sent = {control.name: control.value for control in start.controls}
    return sent | {known[key]: value for key, value in changes.items()}


def errors(found: CloneForm) -> dict[str, str]:
    """What is wrong, by control."""
    return {control.name: control.error for control in found.controls if control.error}


def test_unedited_it_says_the_trials_own_params() -> None:
    """Each with its type: a number, a whole number, a choice."""
    params, after = read(form(), filled(form()))

    assert params == SGD
    assert [type(params[path]) for path in SGD] == [type(value) for value in SGD.values()]
    assert not after.is_wrong


def test_the_base_recipe_is_cloned_with_the_bases_values() -> None:
    """It has no params of its own, so that the config says them."""
    base = trial({})
    params, _ = read(clone_form(spec(), base), {})

    assert base.config.optimizer.lr == params["optimizer.lr"]
    assert params.keys() == SGD.keys()


def test_only_the_range_whose_condition_holds_counts() -> None:
    """The learning rate of the chosen optimizer is taken, and the other one's passed over."""
    start = form()
    params, _ = read(start, filled(start, name='"adamw"', lr_0="0.5", lr_1="0.0003"))

    assert ("adamw", 0.0003) == (params["optimizer.name"], params["optimizer.lr"])


def test_a_range_that_did_not_count_offers_its_middle() -> None:
    """Whoever switches the optimizer finds a rate that suits it."""
    other = next(control for control in form().controls if control.name == "optimizer.lr@1")

    assert "optimizer.name = adamw" == other.condition
    assert 1e-5 < float(other.value) < 3e-3


def test_values_outside_of_the_space_are_taken() -> None:
    """As by the API: the space says what is drawn, not what may be tried."""
    start = form()
    params, after = read(start, filled(start, lr_0="5", batch="12"))
    batch = next(control for control in after.controls if control.path == "training.batch_size")

    assert (5, 12) == (params["optimizer.lr"], params["training.batch_size"])
    assert "12 (not in the space)" == batch.options[-1].label


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("lr_0", "fast", "“fast” is not a number"),
        ("lr_0", "", "this needs a value"),
        ("lr_0", "NaN", "“NaN” is not a number"),
        ("lr_0", "true", "“true” is not a number"),
        ("lr_0", "1e999", "“1e999” is not a number"),
        ("rotate", "2.5", "“2.5” is not a whole number"),
    ],
)
def test_a_mistake_stands_at_its_control(key: str, text: str, said: str) -> None:
    """The form comes back as it was filled, with what is wrong beside it."""
    start = form()
    params, after = read(start, filled(start, **{key: text}))
    wrong = next(control for control in after.controls if control.error)

    assert said == wrong.error
    assert text == wrong.value
    assert wrong.path not in params


def test_paths_that_are_not_searched_stay() -> None:
    """A trial by hand may set more than is searched; its clone does too."""
    params, _ = read(form({**SGD, "optimizer.momentum": 0.5, "schedule.name": "cosine"}), {})

    assert (0.5, "cosine") == (params["optimizer.momentum"], params["schedule.name"])


def test_what_the_study_refuses_stands_at_its_control_too() -> None:
    """And what is about no control stands above them all."""
    problems = [
        Problem(("training", "batch_size"), "batch_size must be at least 1"),
        Problem(("params", "augment.rotate"), "too far"),
        Problem(("model", "encoder"), "no such encoder"),
    ]
    found = refused(form(), problems)

    assert {"training.batch_size@0", "augment.rotate@0"} == errors(found).keys()
    assert ("model.encoder: no such encoder",) == found.problems


@given(st.dictionaries(st.sampled_from(["lr_0", "lr_1", "batch", "rotate", "name"]), st.text()))
def test_nothing_that_is_typed_breaks_the_form(typed: dict[str, str]) -> None:
    """Any text is a value or a mistake."""
    start = form()
    params, after = read(start, filled(start, **typed))

    assert params.keys() | {control.path for control in after.controls} <= SGD.keys()
