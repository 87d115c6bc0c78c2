"""Rungs that are trainings of their own, on fewer images or smaller ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import study
from tuner.configs.checks import check
from tuner.configs.resolve import resolve
from tuner.errors import InvalidSpec
from tuner.search.fidelity import SMALLEST, staged, target
from tuner.search.judge import judge
from tuner.search.learning_curve import LearningCurve
from tuner.search.plan import plan
from tuner.search.rules import Rules
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Action
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec


def spec(fidelity: str, *, epochs: int = 27, **search: object) -> StudySpec:
    """The sample study with rungs at 3 and 9 of 27 epochs, on images of 96×128."""
    document = study(
        base={"training": {"epochs": epochs}, "schedule": {"warmup": 0}},
        search={"fidelity": fidelity, "pruner": {"name": "promote", "min_step": 3}, **search},
    )
    dataset = document.dataset.model_copy(update={"size": (96, 128), "subset": 0.5})
    return document.model_copy(update={"dataset": dataset})


def config(document: StudySpec) -> TrialConfig:
    """What its base recipe trains with."""
    return resolve(document.base, document.dataset, {})


def test_a_rung_has_its_share_of_the_images() -> None:
    """Of those that the study uses; the schedule spans all epochs, and the last is the study's."""
    document = spec("data")
    whole = config(document)
    assert staged(whole, Rules(document), 3).dataset.subset == pytest.approx(0.5 * 3 / 27)
    assert staged(whole, Rules(document), 3).training == whole.training
    assert staged(whole, Rules(document), 27) == whole


def test_a_rung_has_its_share_of_the_pixels() -> None:
    """Sides are multiples of eight, at the proportions of the whole."""
    document = spec("size")
    assert staged(config(document), Rules(document), 9).dataset.size == (56, 72)
    assert staged(config(document), Rules(document), 27).dataset.size == (96, 128)


@given(steps=st.integers(1, 27), height=st.integers(32, 1024), width=st.integers(32, 1024))
def test_no_image_is_too_small_or_larger_than_the_whole(
    steps: int, height: int, width: int
) -> None:
    """Whatever the rung."""
    document = spec("size")
    dataset = document.dataset.model_copy(update={"size": (height, width)})
    whole = config(document.model_copy(update={"dataset": dataset}))
    for side, full in zip(
        staged(whole, Rules(document), steps).dataset.size, (height, width), strict=True
    ):
        assert min(SMALLEST, full) <= side <= full


def test_a_training_leads_to_the_next_rung() -> None:
    """And from the last to the end."""
    rules = Rules(spec("data"))
    assert [target(rules, step) for step in (0, 1, 3, 9, 20)] == [3, 3, 9, 27, 27]


def test_who_leads_at_a_rung_is_paused_too() -> None:
    """There is nothing to go on with in place."""
    trials = [LearningCurve(number, TrialState.PAUSED, {3: number / 10}) for number in range(3)]
    leader = LearningCurve(9, TrialState.RUNNING, {3: 0.9})
    verdict = judge(Rules(spec("data")), leader, trials)
    assert verdict.action is Action.PAUSE
    assert verdict.reason == "miou 0.900 at epoch 3 is among the best: to be trained again on more"
    assert judge(Rules(spec("epochs")), leader, trials).action is Action.CONTINUE


def test_a_plan_counts_each_rung_as_a_training() -> None:
    """Nothing is carried over from one to the next."""
    outline = plan(Rules(spec("data", trials=9)))
    assert outline.worst_epochs == 9 * (3 + 9 + 27)
    assert outline.expected_epochs == 9 * 3 + 3 * 9 + 1 * 27


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (spec("data", pruner="asha"), "which pruner asha does not have; set pruner to promote"),
        (spec("size", sampler="pbt", pruner="auto"), "which sampler pbt does not have"),
    ],
)
def test_what_has_no_rungs_of_its_own_is_refused(document: StudySpec, message: str) -> None:
    """At submission, with what to do."""
    with pytest.raises(InvalidSpec, match=message):
        check(document)
