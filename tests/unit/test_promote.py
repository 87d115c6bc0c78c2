"""Successive halving that pauses and promotes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.search.agreement import spearman
from tuner.search.judge import judge, promotion, unreliable
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners import hyperband, promote
from tuner.search.pruners._contract import Pausing
from tuner.search.rules import Rules
from tuner.spec.messages import Action
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec

COST_AWARE = {"name": "promote", "cost_aware": True}
CONTEXT = PruningContext(Objective(metric="miou"), 52)  # rungs 3, 9, 27


def spec(pruner: object = "promote", **changes: object) -> StudySpec:
    """The sample study over 52 epochs."""
    base = {"training": {"epochs": 52}, "schedule": {"warmup": 0}}
    return study(base=base, search={"pruner": pruner, "trials": 30}, **changes)


def curve(number: int, state: TrialState = TrialState.PAUSED, **values: float) -> LearningCurve:
    """A paused trial: `e3=0.4` is 0.4 at epoch 3."""
    return LearningCurve(number, state, {int(key[1:]): value for key, value in values.items()})


def running(number: int, **values: float) -> LearningCurve:
    """A running trial."""
    return curve(number, TrialState.RUNNING, **values)


def test_a_trial_waits_until_there_is_something_to_compare_with() -> None:
    """The first two of eta trials are paused, and are told what for."""
    verdict = judge(Rules(spec()), running(1, e3=0.5), [curve(0, e3=0.1)])
    assert verdict.action is Action.PAUSE
    assert verdict.reason == (
        "miou 0.500 at epoch 3 waits for others to compare with: 2 of 3 trials are there"
    )


def test_where_the_best_epoch_counts_the_reason_says_so() -> None:
    """The values that it compares are those of the best epochs so far."""
    document = spec(objectives=[{"metric": "miou", "at": "best"}])
    verdict = judge(Rules(document), running(1, e3=0.5), [curve(0, e3=0.1)])
    assert verdict.reason.startswith("best miou 0.500 up to epoch 3 waits for others")


def test_a_trial_that_is_promotable_at_once_goes_on_in_place() -> None:
    """No restart for the best of three."""
    peers = [curve(0, e3=0.1), curve(1, e3=0.2)]
    assert judge(Rules(spec()), running(2, e3=0.3), peers).action is Action.CONTINUE


def test_a_weaker_trial_is_paused_with_its_reason() -> None:
    """In words and numbers."""
    peers = [curve(0, e3=0.1), curve(1, e3=0.5)]
    verdict = judge(Rules(spec()), running(2, e3=0.3), peers)
    assert verdict.action is Action.PAUSE
    assert verdict.reason == "miou 0.300 at epoch 3 is below the best third of 3 trials (0.500)"


def test_the_highest_rung_is_promoted_first() -> None:
    """What is nearest to a result comes before what has just begun."""
    curves = [
        *(curve(k, e3=0.1 * k) for k in range(6)),
        *(curve(10 + k, e3=0.9, e9=0.1 * k) for k in range(3)),
    ]
    assert promotion(Rules(spec()), curves) == (
        12,
        "promoted: miou 0.200 at epoch 9 is number 1 of those there",
    )


def test_nobody_is_promoted_twice_from_a_rung() -> None:
    """The best third of six has gone on already."""
    curves = [
        running(0, e3=0.9, e9=0.9),
        running(1, e3=0.8),
        *(curve(k, e3=0.1) for k in range(2, 6)),
    ]
    assert promotion(Rules(spec()), curves) is None


def test_a_study_does_not_end_with_its_leader_unfinished() -> None:
    """When no trial will be drawn any more, one of two goes on."""
    curves = [curve(0, e3=0.1), curve(1, e3=0.2)]
    assert promotion(Rules(spec()), curves) is None
    found = promotion(Rules(spec()), curves, closing=True)
    assert found is not None
    assert found[0] == 1


def test_a_trial_without_a_number_is_pruned() -> None:
    """It will not come back."""
    verdict = judge(Rules(spec()), running(0, e3=float("nan")), [])
    assert verdict.action is Action.PRUNE


def test_pruners_that_stop_promote_nobody() -> None:
    """Paused trials of a study whose pruner was changed stay where they are."""
    curves = [curve(k, e3=0.1 * k) for k in range(9)]
    assert promotion(Rules(spec("asha")), curves) is None


CURVES = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=30)
STEPS = (3, 9, 27, 52)


@few
@given(CURVES)
def test_promotion_never_starves(finals: list[list[float]]) -> None:
    """Promoting one by one, the leader of a study that draws no more always gets to its end."""
    context = replace(CONTEXT, closing=True)
    values = {
        number: {step: (curve * 4)[index] for index, step in enumerate(STEPS)}
        for number, curve in enumerate(finals)
    }
    curves = {n: LearningCurve(n, TrialState.PAUSED, {3: values[n][3]}) for n in values}
    pruner = promote.build()
    assert isinstance(pruner, Pausing)
    while (found := pruner.promote(list(curves.values()), context)) is not None:
        number = found[0]
        step = STEPS[STEPS.index(curves[number].step) + 1]
        grown = {at: values[number][at] for at in STEPS if at <= step}
        state = TrialState.COMPLETED if step == 52 else TrialState.PAUSED
        curves[number] = LearningCurve(number, state, grown)
    assert any(one.state is TrialState.COMPLETED for one in curves.values())
    for step in STEPS[:-1]:
        reached = [one for one in curves.values() if step in one.values]
        beyond = [one for one in reached if one.step > step]
        # A trial that went on as the leader of its day may be none of the best third later.
        assert len(beyond) >= max(len(reached) // 3, 1)


def test_a_rung_that_says_nothing_is_merged_upward() -> None:
    """Trials are no longer compared there, and it is told."""
    curves = [running(k, e3=0.1 * k, e9=0.1 * (10 - k)) for k in range(10)]
    found = unreliable(Rules(spec()), curves)
    assert [(one.step, one.next_step, one.trials) for one in found] == [(3, 9, 10)]
    assert found[0].correlation == pytest.approx(-1)
    assert "trials are not compared at epoch 3" in found[0].describe()
    assert judge(Rules(spec()), running(11, e3=0.0), curves).action is Action.CONTINUE
    kept = spec({"name": "promote", "merge": False})
    assert judge(Rules(kept), running(11, e3=0.0), curves).action is Action.PAUSE


def test_equal_values_share_their_rank() -> None:
    """Spearman's correlation with ties, by its definition over mean ranks."""
    first = np.array([1, 2, 2, 3, 4, 5, 6, 7], dtype=float)
    second = np.array([1, 2, 3, 4, 4, 6, 5, 7], dtype=float)
    assert spearman(first, second) == pytest.approx(0.9638554, abs=1e-6)


def test_several_objectives_are_compared_by_their_front() -> None:
    """A trial that another one beats in both waits behind the front."""
    both = [{"metric": "miou"}, {"metric": "latency_ms", "direction": "minimize"}]
    front = [
        LearningCurve(k, TrialState.PAUSED, {3: 0.1 * k}, {3: (10.0 * k,)}) for k in range(1, 4)
    ]
    beaten = LearningCurve(9, TrialState.RUNNING, {3: 0.05}, {3: (40.0,)})
    verdict = judge(Rules(spec(objectives=both)), beaten, front)
    assert verdict.action is Action.PAUSE
    assert verdict.reason == "rank 1.000 at epoch 3 is above the best third of 4 trials (0.000)"
    best = LearningCurve(9, TrialState.RUNNING, {3: 0.5}, {3: (1.0,)})
    assert judge(Rules(spec(objectives=both)), best, front).action is Action.CONTINUE


def test_brackets_share_the_trials_by_their_cost() -> None:
    """Of thirteen trials of three brackets nine begin at the first rung, one at the last."""
    pruner = hyperband.build(eta=3, brackets=3)
    assert isinstance(pruner, hyperband.Hyperband)
    brackets = [pruner.bracket(number, 2) for number in range(13)]
    assert [brackets.count(index) for index in range(3)] == [9, 3, 1]


def test_a_trial_of_a_higher_bracket_is_spared_the_first_rung() -> None:
    """And is compared with its own kind only."""
    ours = spec({"name": "hyperband", "brackets": 2})
    peers = [curve(k, e3=0.5) for k in range(3)]
    assert judge(Rules(ours), running(3, e3=0.0), peers).action is Action.CONTINUE
    assert judge(Rules(ours), running(4, e3=0.0), peers).action is Action.PAUSE


def test_growing_rungs_wait_while_more_training_would_not_change_the_order() -> None:
    """Nobody passes epoch 9 whose order is that of epoch 3; once it differs, the best goes on."""
    growing = spec({"name": "promote", "grow": True})
    alike = [curve(k, e3=0.1 * k, e9=0.2 * k) for k in range(1, 4)]
    assert promotion(Rules(growing), alike) is None
    verdict = judge(Rules(growing), running(9, e3=0.9, e9=0.9), alike)
    assert verdict.action is Action.PAUSE
    assert verdict.reason.endswith("the order of the trials there is that of the rung below")
    differing = [*alike[:2], curve(3, e3=0.3, e9=0.1), curve(4, e3=0.4, e9=0.3)]
    found = promotion(Rules(growing), differing)
    assert found is not None
    assert found[0] == 2
    assert promotion(Rules(growing), alike, closing=True) is not None


def _priced(costly: int, *, cheap: int | None = None) -> list[LearningCurve]:
    """Twelve paused trials, the higher the number the better, an epoch takes 10 s in most."""
    paces = {costly: 25.0} | ({} if cheap is None else {cheap: 2.5})
    return [replace(curve(k, e3=0.05 * k), pace=paces.get(k, 10.0)) for k in range(12)]


def test_cost_aware_promotion_lets_a_costly_trial_wait_for_a_cheap_one() -> None:
    """Of twelve the fourth goes on, unless it is costly; the eighth does, if it is cheap."""
    curves = [one for one in _priced(8, cheap=4) if one.number in {4, 8}]
    leaders = [replace(one, state=TrialState.RUNNING) for one in _priced(8) if one.number > 8]
    rest = [
        replace(one, state=TrialState.PRUNED)
        for one in _priced(8)
        if one.number in {*range(4), *range(5, 8)}
    ]

    plain = promotion(Rules(spec()), [*leaders, *curves, *rest])
    thrifty = promotion(Rules(spec(COST_AWARE)), [*leaders, *curves, *rest])

    assert plain == (8, "promoted: miou 0.400 at epoch 3 is number 4 of those there")
    assert thrifty == (4, "promoted: miou 0.200 at epoch 3 is number 8 of those there")


def test_cost_aware_verdict_says_what_an_epoch_takes() -> None:
    """The fourth of twelve waits for its price alone; the best never does."""
    costly = replace(running(8, e3=0.4), pace=25.0)
    verdict = judge(Rules(spec(COST_AWARE)), costly, _priced(8))
    assert verdict.action is Action.PAUSE
    assert verdict.reason == (
        "miou 0.400 at epoch 3 is among the best third of 12 trials, "
        "but an epoch takes 2.5 times the seconds of the median"
    )
    best = replace(running(8, e3=0.9), pace=1000.0)
    assert judge(Rules(spec(COST_AWARE)), best, _priced(8)).action is Action.CONTINUE


def test_cost_aware_promotion_without_known_seconds_goes_by_places() -> None:
    """As it is where no report told its seconds."""
    curves = [curve(k, e3=0.1 * k) for k in range(6)]
    assert promotion(Rules(spec(COST_AWARE)), curves) == promotion(Rules(spec()), curves)
