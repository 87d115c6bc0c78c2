"""An earlier study is followed as far as it agrees with this one."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from tests.unit.samples import SPACE, study
from tests.unit.search_runs import CUBE, best, search, sphere
from tuner.search.in_memory_storage import frozen
from tuner.search.observation import Observation, Translator
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.search.transfer import SourceTrial, WarmStartProposer
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

START = [dict.fromkeys(CUBE, -3.0)]
Value = Callable[[dict[str, Any]], tuple[float, ...]]


def cold(*, trials: int = 40, seed: int = 0) -> StudySpec:
    """A study of four numbers that knows of no other."""
    return study(space=CUBE, search={"trials": trials, "seed": seed, "sampler": "tpe"})


def known(value: Value, *, seed: int = 100) -> list[SourceTrial]:
    """What a study of the same space found out about another objective."""
    _, trials = search(cold(seed=seed), value, before=START)
    return [SourceTrial(seen.params, seen.values[0], inf) for seen in trials if seen.values]


def opposite(params: dict[str, Any]) -> tuple[float, ...]:
    """Best where the sphere is worst."""
    return (-sphere(params)[0],)


def told(spec: StudySpec, value: Value, number: int = 20) -> list[Any]:
    """Completed trials at random points, as a sampler reads them."""
    random = study(space=CUBE, search={"sampler": "random"})
    _, trials = search(random, value, before=START)
    translate = Translator(spec).trial
    return [translate(seen) for seen in trials[:number]]


def test_agreement_is_near_one_with_the_same_objective() -> None:
    """And none with the opposite; half before there are results."""
    proposer = WarmStartProposer(cold(), known(sphere))
    assert proposer.agreement([]) == 0.5
    assert proposer.agreement(told(cold(), sphere)) > 0.7
    assert proposer.agreement(told(cold(), opposite)) == 0


def test_agreement_is_asked_at_the_highest_step_with_enough_results() -> None:
    """Five trials at step 3 decide, not twenty at step 1."""
    spec = cold()
    proposer = WarmStartProposer(spec, known(sphere))
    trials = []
    for trial in told(spec, sphere):
        value = trial.values[0]
        steps = {1: -value, 3: value} if trial.number < 8 else {1: -value}
        trials.append(frozen(trial.number, trial.state.RUNNING, params=trial.params, steps=steps))
    assert proposer.agreement(trials) > 0.5
    early = [
        frozen(t.number, t.state, params=t.params, steps={1: t.intermediate_values[1]})
        for t in trials
    ]
    assert proposer.agreement(early) == 0


def test_the_best_of_an_earlier_study_are_tried_first() -> None:
    """Three of them, in order, after the base recipe."""
    earlier = known(sphere)
    order = sorted(earlier, key=lambda trial: -trial.value)
    suggester, seen = Suggester(Rules(cold()), [earlier]), list[Observation]()
    for number in range(1, 5):
        draw = suggester.draw(seen[-1:], number)
        seen.append(Observation(number, TrialState.RUNNING, draw.params, attrs=draw.attrs))
    assert [trial.params for trial in seen[:3]] == [trial.params for trial in order[:3]]
    assert all(trial.attrs["source"] == "warm" for trial in seen[:3])
    assert seen[3].params not in [trial.params for trial in order]


def test_a_trial_that_was_stopped_early_ranks_behind() -> None:
    """Its value at a rung is no final value."""
    points = [dict.fromkeys(CUBE, float(k)) for k in range(4)]
    steps = [(0.4, inf), (0.9, 2.0), (0.5, inf), (0.6, 4.0)]
    earlier = [SourceTrial(p, value, step) for p, (value, step) in zip(points, steps, strict=True)]
    assert WarmStartProposer(cold(), earlier).candidates == [points[2], points[0], points[3]]


def test_points_that_lack_something_are_not_tried() -> None:
    """A learning rate beyond the range is missing from the point."""
    spec = study(space={path: SPACE[path] for path in ("optimizer.name", "optimizer.lr")})
    whole = {"optimizer.name": "sgd", "optimizer.lr": 0.05}
    earlier = [SourceTrial({"optimizer.name": "sgd"}, 0.9, inf), SourceTrial(whole, 0.5, inf)]
    assert WarmStartProposer(spec, earlier).candidates == [whole]


def test_a_study_without_common_points_is_of_no_use_and_no_harm() -> None:
    """It has nothing to propose, and the search is the cold one."""
    spec = cold(trials=10)
    alone, _ = search(spec, sphere, before=START)
    beside, _ = search(spec, sphere, before=START, earlier=[[SourceTrial({}, 0.5, inf)], []])
    assert alone == beside


def test_a_restart_changes_nothing() -> None:
    """What counts is what the earlier study knows and what this one has found."""
    earlier = [known(sphere), known(opposite)]
    whole, _ = search(cold(), sphere, before=START, earlier=earlier, workers=3)
    broken, _ = search(cold(), sphere, before=START, earlier=earlier, workers=3, restart_at=(4, 20))
    assert whole == broken


@pytest.mark.parametrize(("objective", "factor"), [(sphere, 0.5), (opposite, 2.5)])
def test_it_helps_where_it_is_right_and_hardly_hurts_where_not(
    objective: Value, factor: float
) -> None:
    """The best of twenty trials in the mean of five seeds, against a cold start."""
    earlier = [known(objective)]
    warm_values, cold_values = [], []
    for seed in range(5):
        spec = cold(trials=20, seed=seed)
        warm_values.append(best(search(spec, sphere, before=START, earlier=earlier)[1]))
        cold_values.append(best(search(spec, sphere, before=START)[1]))
    assert sum(warm_values) > sum(cold_values) * factor  # all are below zero
