"""The Gaussian process learns from what there is to learn from, and keeps away from the rest."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from tests.unit.samples import completed, study
from tests.unit.search_runs import CUBE, best, search, sphere
from tuner.configs import catalog
from tuner.search import surrogate
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

START = [dict.fromkeys(CUBE, -3.0)]
ROTATE: dict[str, Any] = {"augment.rotate": {"float": [0.0, 30.0]}}


def spec_of(space: dict[str, Any] = CUBE, trials: int = 30, **options: Any) -> StudySpec:
    """A study by the Gaussian process."""
    return study(
        space=space, search={"sampler": {"name": "gp", **options}, "trials": trials, "seed": 5}
    )


def drawn(spec: StudySpec, seen: list[Observation]) -> float:
    """Where it would rotate next."""
    return float(Suggester(Rules(spec)).draw(seen, len(seen)).params["augment.rotate"])


def curve(number: int, rotate: float, state: TrialState, **steps: float) -> Observation:
    """A trial with values at the named steps: the closer to 20 degrees, the better."""
    values = {int(step[1:]): value - (rotate - 20) ** 2 / 400 for step, value in steps.items()}
    final = (max(values.items())[1],) if state is TrialState.COMPLETED else None
    return Observation(number, state, {"augment.rotate": rotate}, final, values)


@pytest.mark.parametrize("workers", [1, 4])
def test_it_finds_the_top_of_a_hill(workers: int) -> None:
    """A smooth one, in thirty trials, four times nearer than chance comes in value."""
    _, trials = search(spec_of(crowd=0), sphere, before=START, workers=workers)
    chance = study(space=CUBE, search={"sampler": "random", "trials": 30})
    _, random = search(chance, sphere, before=START)
    assert best(trials) > best(random) / 4  # both are below zero


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30, -1.0])
def test_unit_and_direction_of_an_objective_change_nothing(factor: float) -> None:
    """Billionths or billions, and a loss instead of a score: the same draw."""
    direction = "maximize" if factor > 0 else "minimize"
    objectives = [{"metric": "miou", "direction": direction}]
    sampler = {"name": "gp", "startup": 3}
    spec = study(space=ROTATE, objectives=objectives, search={"sampler": sampler, "seed": 5})
    seen = [curve(n, 5.0 * n, TrialState.COMPLETED, s2=0.5, s6=0.7) for n in range(5)]
    scaled = [
        replace(
            each,
            values=each.values and (factor * each.values[0],),
            steps={step: factor * value for step, value in each.steps.items()},
        )
        for each in seen
    ]
    assert drawn(spec, scaled) == drawn(spec_of(ROTATE, startup=3), seen)


@pytest.mark.parametrize("state", [TrialState.PAUSED, TrialState.PRUNED])
def test_trials_that_were_stopped_at_a_rung_teach_it(state: TrialState) -> None:
    """None has completed, and yet it knows where to look."""
    spec = spec_of(ROTATE, startup=3)
    rotations = [0.0, 5.0, 10.0, 15.0, 25.0, 30.0]
    seen = [curve(n, rotate, state, s2=0.5) for n, rotate in enumerate(rotations)]
    assert 16 < drawn(spec, seen) < 24


def test_the_full_budget_has_the_last_word() -> None:
    """Where the order of the rungs turns round, what was trained longer counts."""
    spec = spec_of(ROTATE, startup=3)
    early = [curve(n, 6.0 * n, TrialState.PAUSED, s2=0.5) for n in range(6)]
    misled = [
        Observation(n, TrialState.COMPLETED, {"augment.rotate": r}, (v,), {2: 0.5 - v / 2})
        for n, (r, v) in enumerate([(2.0, 0.9), (8.0, 0.6), (20.0, 0.1), (26.0, 0.1)], start=6)
    ]
    assert drawn(spec, early) > 14
    assert drawn(spec, [*early, *misled]) < 14


def test_it_keeps_away_from_what_cannot_be_trained() -> None:
    """Half of the range runs out of memory, just where the values get better."""
    spec = spec_of(ROTATE, startup=3)
    seen = [completed(n, {"augment.rotate": r}, r / 30) for n, r in enumerate([0.0, 3, 7, 11, 14])]
    failed = [
        Observation(n, TrialState.FAILED, {"augment.rotate": r}, trainable=False)
        for n, r in enumerate([17.0, 20.0, 23.0, 26.0, 29.0], start=5)
    ]
    assert drawn(spec, seen) > 20
    assert drawn(spec, [*seen, *failed]) < 17


@pytest.mark.parametrize("tenth", [1, 10])
def test_it_keeps_within_bounds(tenth: int) -> None:
    """On whatever scale a bound is broken, and before any trial has kept it."""
    spec = spec_of(ROTATE, startup=3)

    def trial(number: int, rotate: float) -> Observation:
        broken = (max(0.0, rotate - 12) / tenth,)
        params = {"augment.rotate": rotate}
        return Observation(number, TrialState.COMPLETED, params, (rotate / 30,), constraints=broken)

    outside = [trial(n, rotate) for n, rotate in enumerate([30.0, 26.0, 22.0, 18.0, 16.0])]
    assert drawn(spec, outside) < 16
    inside = [trial(n, rotate) for n, rotate in enumerate([2.0, 7.0, 11.0], start=5)]
    assert 7 < drawn(spec, [*outside, *inside]) < 15


@pytest.mark.parametrize("rule", ["median", "patience", "none"])
def test_it_learns_from_a_few_of_many_steps(rule: str) -> None:
    """Under a rule that looks at every epoch; the latest of them count as well."""
    search = {"sampler": {"name": "gp", "startup": 3}, "pruner": rule, "trials": 30}
    spec = study(space=ROTATE, search=search)

    def trial(number: int, rotate: float) -> Observation:
        values = {step: step / 20 - (rotate - 20) ** 2 / 400 for step in range(1, 21)}
        params = {"augment.rotate": rotate}
        return Observation(number, TrialState.COMPLETED, params, (values[20],), values)

    seen = [trial(n, rotate) for n, rotate in enumerate([0.0, 5.0, 10.0, 15.0, 25.0, 30.0])]
    assert 16 < drawn(spec, seen) < 24


def test_two_objectives_spread_over_their_front() -> None:
    """Between two hills it draws near either top and between them."""
    spec = study(
        space=CUBE,
        objectives=[{"metric": "miou"}, {"metric": "dice"}],
        search={"sampler": "gp", "trials": 50, "seed": 2},
    )

    def values(params: dict[str, Any]) -> tuple[float, ...]:
        return sphere(params)[0], sphere({path: -value for path, value in params.items()})[0]

    _, trials = search(spec, values, before=START, workers=2)
    late = [seen.params for seen in trials[-30:]]
    means = [sum(params.values()) / 4 for params in late]
    away = [max(abs(v - m) for v in p.values()) for p, m in zip(late, means, strict=True)]
    assert sorted(away)[15] < 1.0  # of ten: on the front all coordinates are equal
    assert min(means) < -0.75
    assert max(means) > 0.75


def test_choices_alone_are_searched_too() -> None:
    """No point twice, and the best of sixty within twenty trials."""
    space = {f"a.x{axis}": {"choice": list(range(size))} for axis, size in enumerate((4, 5, 3))}
    target = {"a.x0": 3, "a.x1": 2, "a.x2": 0}
    spec = spec_of(space, trials=20, startup=4)

    def values(params: dict[str, Any]) -> tuple[float, ...]:
        return (float(sum(params[path] == value for path, value in target.items())),)

    draws, trials = search(spec, values, before=[{"a.x0": 0, "a.x1": 0, "a.x2": 1}])
    assert best(trials) == 3
    assert len({tuple(draw.params.items()) for draw in draws}) == 19


def test_a_condition_decides_what_is_drawn() -> None:
    """Either branch has its own optimum; the better branch is found, and its optimum in it."""
    space: dict[str, Any] = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.lr": [
            {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
            {"float": [1e-5, 1e-3], "log": True, "when": {"optimizer.name": "adamw"}},
        ],
    }
    spec = spec_of(space, trials=24)

    def values(params: dict[str, Any]) -> tuple[float, ...]:
        top = 0.03 if params["optimizer.name"] == "sgd" else 1e-4
        ratio = max(params["optimizer.lr"] / top, top / params["optimizer.lr"])
        return (1 / ratio - (params["optimizer.name"] == "sgd"),)

    _, trials = search(spec, values, before=[{"optimizer.name": "sgd", "optimizer.lr": 0.01}])
    assert best(trials) > 0.9


def test_draws_in_turn_with_tpe() -> None:
    """All of them are TPE's, or every second one, by the trial's number."""
    _, trials = search(spec_of(trials=16), sphere, before=START)

    def draws(sampler: dict[str, Any]) -> list[dict[str, Any]]:
        spec = study(space=CUBE, search={"sampler": sampler, "trials": 99, "seed": 5})
        return [Suggester(Rules(spec)).draw(trials, number).params for number in range(16, 20)]

    alone, tpe = draws({"name": "gp"}), draws({"name": "rung_tpe"})
    assert draws({"name": "gp", "tpe": 1.0}) == tpe
    assert draws({"name": "gp", "tpe": 0.5}) == [tpe[0], alone[1], tpe[2], alone[3]]


def test_a_restart_changes_nothing() -> None:
    """The model is fitted anew for each draw, from trials alone."""
    spec = spec_of(trials=14, startup=4, tpe=0.25)
    whole, _ = search(spec, sphere, before=START, workers=2)
    broken, _ = search(spec, sphere, before=START, workers=2, restart_at=(8,))
    assert whole == broken


def test_where_there_is_no_model_draws_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """A covariance that cannot be inverted ends no study."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(surrogate, "GaussianProcess", fail)
    draws, _ = search(spec_of(trials=10, startup=2), sphere, before=START)
    assert len({tuple(draw.params.values()) for draw in draws}) == 9


@pytest.mark.filterwarnings("ignore")  # the suites provoke warnings of Optuna's own on purpose
class TestSuites(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours, as Optuna's suites want it, without random draws before the model."""
        return lambda: catalog.load("sampler", "gp").build(Rules(study()), 0, startup=0)
