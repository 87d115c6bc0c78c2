"""Population-based training: whose turn it is, and which trial is replaced by which."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import study
from tuner.configs.checks import check
from tuner.errors import InvalidSpec
from tuner.search.judge import donors, judge, perturbed, promotion
from tuner.search.learning_curve import LearningCurve
from tuner.search.plan import plan
from tuner.search.rules import Rules
from tuner.spec.config import may_change
from tuner.spec.messages import Action
from tuner.spec.space import Params
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec


def spec(**options: object) -> StudySpec:
    """The sample study as a population over 20 epochs."""
    sampler = {"name": "pbt", "interval": 4, **options}
    return study(
        base={"training": {"epochs": 20}, "schedule": {"warmup": 0}},
        search={"sampler": sampler, "trials": 8},
    )


def curve(number: int, state: TrialState = TrialState.PAUSED, **values: float) -> LearningCurve:
    """A trial: `e4=0.4` is 0.4 at epoch 4."""
    return LearningCurve(number, state, {int(key[1:]): value for key, value in values.items()})


def population(*values: float, state: TrialState = TrialState.PAUSED) -> list[LearningCurve]:
    """Trials numbered from 0 with these values at epoch 4."""
    return [curve(number, state, e4=value) for number, value in enumerate(values)]


def test_the_sampler_judges_itself() -> None:
    """`auto` means its own rule, at its own epochs; no more epochs are spent than without."""
    assert Rules(spec()).pruner_name == "pbt"
    assert Rules(spec()).judged_steps == {4, 8, 12, 16}
    assert plan(Rules(spec())).worst_epochs == 8 * 20


def test_a_trial_gives_way_until_the_population_is_complete() -> None:
    """New ones are drawn before anybody goes on."""
    verdict = judge(Rules(spec()), curve(0, TrialState.RUNNING, e4=0.5), [])
    assert verdict.action is Action.PAUSE
    assert verdict.reason == "at epoch 4 it waits: the population is not complete"
    assert promotion(Rules(spec()), population(0.1, 0.2)) is None


def test_a_trial_gives_way_to_those_behind() -> None:
    """Who has trained longest waits."""
    here = curve(9, TrialState.RUNNING, e4=0.5)
    verdict = judge(Rules(spec()), here, population(0.1, 0.2), closing=True)
    assert verdict.reason == "at epoch 4 it waits for 2 trials not ahead of it"
    ahead = [curve(0, e4=0.1, e8=0.2)]
    assert judge(Rules(spec()), here, ahead, closing=True).action is Action.CONTINUE


def test_with_a_worker_for_each_nobody_pauses_but_the_worst() -> None:
    """The worst of four asks for its replacement."""
    peers = population(0.5, 0.6, 0.7, state=TrialState.RUNNING)
    strong, weak = curve(9, TrialState.RUNNING, e4=0.8), curve(9, TrialState.RUNNING, e4=0.1)
    assert judge(Rules(spec()), strong, peers, closing=True).action is Action.CONTINUE
    verdict = judge(Rules(spec()), weak, peers, closing=True)
    assert verdict.action is Action.PAUSE
    assert verdict.reason == "miou 0.100 at epoch 4 is below the best 3 of 4 trials (0.500)"


def test_the_one_furthest_behind_is_next() -> None:
    """Of those at the same epoch the oldest."""
    trials = [curve(0, e4=0.5, e8=0.6), *population(0.5, 0.6, 0.7)[1:]]
    assert promotion(Rules(spec()), trials, closing=True) == (
        1,
        "goes on from epoch 4: it has the fewest epochs",
    )


def test_the_worst_may_be_replaced_by_any_of_the_best() -> None:
    """Two of eight; whoever was replaced before does not count."""
    trials = population(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    gone = [curve(20 + at, TrialState.PRUNED, e4=0.9) for at in range(4)]
    assert donors(Rules(spec()), [*trials, *gone], 0) == (7, 6)
    assert donors(Rules(spec()), [*trials, *gone], 1) == (7, 6)
    assert donors(Rules(spec()), [*trials, *gone], 2) == ()


def test_too_few_to_compare_replace_nobody() -> None:
    """A quarter of three is none."""
    assert donors(Rules(spec()), population(0.1, 0.2, 0.3), 0) == ()


def test_only_what_may_change_is_varied() -> None:
    """Learning rate, weight decay and augmentation move a little; the network stays."""
    params: Params = {"optimizer.lr": 0.01, "model.decoder": "ocr", "augment.rotate": 10}
    space = {
        "optimizer.lr": {"float": [0.001, 0.1], "log": True},
        "model.decoder": {"choice": ["ocr", "fcn"]},
        "augment.rotate": {"int": [0, 20]},
    }
    document = spec().model_copy(update={"space": study(space=space).space})
    moved = [perturbed(Rules(document), params, random.Random(seed)) for seed in range(50)]
    assert {path for values in moved for path in values} == {"optimizer.lr", "augment.rotate"}
    assert all(0.0025 < values.get("optimizer.lr", 0.01) < 0.04 for values in moved)


@given(
    values=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    share=st.floats(0.05, 0.5),
)
def test_nobody_gives_way_to_a_worse_one(values: list[float], share: float) -> None:
    """Whatever the population, models are no worse, and never the trial itself."""
    trials = population(*values)
    for trial in trials:
        for number in donors(Rules(spec(share=share)), trials, trial.number):
            assert number != trial.number
            assert values[number] >= values[trial.number]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": {"sampler": "pbt", "pruner": "asha"}}, "leave the pruner at auto"),
        ({"space": {"model.decoder": {"choice": ["ocr", "fcn"]}}}, "the space has none of them"),
    ],
)
def test_what_it_cannot_do_is_refused(changes: dict[str, object], message: str) -> None:
    """At submission, with what to do."""
    document = study(**{"search": {"sampler": "pbt"}, **changes})
    with pytest.raises(InvalidSpec, match=message):
        check(document)


def test_what_may_change_is_built_anew_between_epochs() -> None:
    """The network, the loss and the optimizer's kind are not."""
    assert may_change("optimizer.lr")
    assert may_change("augment.scale")
    assert not may_change("optimizer.name")
    assert not may_change("training.batch_size")
