"""Samplers whose state lives in the store go on with it, whatever the servers and workers do."""

from collections import Counter
from typing import Any

import pytest

from tests.unit.samples import SPACE, study, toy_value
from tests.unit.search_runs import CUBE, best, search, sphere
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.samplers.cmaes import Evolution
from tuner.search.suggest import Draw, Suggester, point_key
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

START = [dict.fromkeys(CUBE, -3.0)]
TWO = [{"metric": "miou"}, {"metric": "dice"}]


def cube(sampler: str, *, trials: int = 100, seed: int = 3, **options: Any) -> StudySpec:
    """A study of four real numbers."""
    search = {"sampler": {"name": sampler, **options}, "trials": trials, "seed": seed}
    return study(space=CUBE, search=search)


def generations(draws: list[Draw]) -> list[int]:
    """The generation of each draw that has one."""
    return [v for draw in draws for k, v in draw.attrs.items() if k.endswith("generation")]


@pytest.mark.parametrize("sampler", ["qmc", "cmaes", "nsga2", "nsga3"])
@pytest.mark.parametrize("workers", [1, 8])
def test_restarts_change_nothing(sampler: str, workers: int) -> None:
    """Two restarts in the middle, with trials running, and the search is the same."""
    spec = cube(sampler, trials=60)
    whole, _ = search(spec, sphere, workers=workers, before=START)
    broken, _ = search(spec, sphere, workers=workers, before=START, restart_at=(21, 45))
    assert [draw.params for draw in whole] == [draw.params for draw in broken]
    assert generations(whole) == generations(broken)


@pytest.mark.parametrize("workers", [1, 4])
def test_cmaes_converges(workers: int) -> None:
    """On a sphere it comes far nearer to the top than random draws do, for every seed."""
    for seed in range(3):
        draws, evolved = search(
            cube("cmaes", trials=160, seed=seed), sphere, workers=workers, before=START
        )
        _, random = search(cube("random", trials=160, seed=seed), sphere, before=START)
        assert best(evolved) > best(random) / 3  # both are below zero
        assert max(generations(draws)) > 10


@pytest.mark.parametrize("margin", [False, True])
def test_cmaes_draws_from_an_excerpt_what_it_draws_from_all(
    margin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials of past generations have no say, so that a long history costs nothing."""
    spec = cube("cmaes", trials=60, margin=margin)
    short, _ = search(spec, sphere, before=START, workers=3)
    monkeypatch.setattr(Evolution, "needed", lambda sampler, trials: list(trials))
    whole, _ = search(spec, sphere, before=START, workers=3)
    assert [draw.params for draw in short] == [draw.params for draw in whole]
    assert max(generations(short)) > 3


def test_cmaes_goes_on_when_trials_are_pruned() -> None:
    """Their last value counts, or a generation would never be full."""
    spec, suggester, seen = cube("cmaes"), Suggester(Rules(cube("cmaes"))), list[Observation]()
    draws = []
    for number in range(1, 40):
        draws.append(suggester.draw(seen[-1:], number))
        params, value = draws[-1].params, sphere(draws[-1].params)[0]
        state = TrialState.COMPLETED if number == 1 else TrialState.PRUNED
        seen.append(Observation(number, state, params, (value,), {1: value}, dict(draws[-1].attrs)))
    assert spec.search.trials == 100
    assert max(generations(draws)) >= 3


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
@pytest.mark.parametrize("workers", [1, 5])
def test_generations_follow_each_other(sampler: str, workers: int) -> None:
    """Each is as large as the population, but for trials that began before it was full."""
    draws, _ = search(
        cube(sampler, trials=61, population=10), sphere, workers=workers, before=START
    )
    found = generations(draws)
    assert found == sorted(found)
    counted = Counter(found)
    assert set(counted) == set(range(max(found) + 1))
    assert all(10 <= counted[generation] < 10 + workers for generation in range(max(found)))


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_generations_get_better(sampler: str) -> None:
    """The last generation is better in the mean than the first, which was random."""
    draws, trials = search(cube(sampler, trials=120, population=12), sphere, before=START)
    values = [seen.values[0] for seen in trials[1:] if seen.values]
    of = dict(enumerate(generations(draws)))
    first = [value for k, value in enumerate(values) if of[k] == 0]
    last = [value for k, value in enumerate(values) if of[k] >= max(of.values()) - 1]
    assert sum(last) / len(last) > sum(first) / len(first)


def test_two_objectives_spread_over_their_front() -> None:
    """Between two spheres, NSGA-II finds points near to either middle and between them."""
    spec = study(
        space=CUBE,
        objectives=TWO,
        search={"sampler": {"name": "nsga2", "population": 20}, "trials": 240},
    )

    def values(params: dict[str, Any]) -> tuple[float, ...]:
        return sphere(params)[0], sphere({path: -value for path, value in params.items()})[0]

    def away(params: dict[str, Any]) -> float:
        """Distance to the line between the middles, which is the front."""
        mean = sum(params.values()) / len(params)
        return float(max(abs(value - mean) for value in params.values()))

    _, trials = search(spec, values, before=START)
    first, last = trials[1:41], trials[-40:]
    assert sum(away(t.params) for t in last) < sum(away(t.params) for t in first) * 0.8
    means = [sum(seen.params.values()) / 4 for seen in last]
    assert min(means) < -0.75 < 0.75 < max(means)


@pytest.mark.parametrize("sampler", ["nsga2", "nsga3"])
def test_children_inherit_conditional_params(sampler: str) -> None:
    """The learning rate, of which each optimizer has its own, evolves like the rest."""
    spec = study(
        space={path: SPACE[path] for path in ("optimizer.name", "optimizer.lr", "augment.rotate")},
        search={"sampler": {"name": sampler, "population": 10}, "trials": 120, "seed": 2},
    )
    base = [{"optimizer.name": "sgd", "optimizer.lr": 0.1, "augment.rotate": 0}]
    _, trials = search(spec, lambda params: (toy_value(params),), before=base)
    values = [seen.values[0] for seen in trials[1:] if seen.values]
    assert sum(values[-30:]) / 30 > sum(values[:10]) / 10 + 0.05


def test_qmc_draws_the_sequence() -> None:
    """Its points are those of scipy's scrambled Sobol' engine, one after the other."""
    from scipy.stats import qmc

    spec = cube("qmc", trials=33, seed=11)
    draws, _ = search(spec, sphere, before=START)
    expected = qmc.Sobol(4, scramble=True, rng=11).random(32) * 10 - 5
    for draw, point in zip(draws, expected, strict=True):
        assert list(draw.params.values()) == pytest.approx(list(point))


def test_qmc_points_are_spread() -> None:
    """Of 16 points, each sixteenth of every axis holds one: no draw repeats another."""
    draws, _ = search(cube("qmc", trials=17), sphere, before=START, workers=3)
    for axis in CUBE:
        assert {int((draw.params[axis] + 5) / 10 * 16) for draw in draws} == set(range(16))


def test_qmc_points_belong_to_numbers() -> None:
    """Whatever else was drawn or asked for, trial 9 has the same point."""
    spec = cube("qmc", sequence="halton")
    draws, _ = search(spec, sphere, before=START)
    assert Suggester(Rules(spec)).draw([], 9).params == draws[8].params


def test_qmc_respects_conditions() -> None:
    """Under each condition, what is active is drawn and nothing else."""
    spec = study(search={"sampler": "qmc", "trials": 40})
    draws = [Suggester(Rules(spec)).draw([], number) for number in range(1, 17)]
    for draw in draws:
        assert ("optimizer.lr" in draw.params) == (
            spec.space.active("optimizer.lr", draw.params) is not None
        )
    assert len({point_key(draw.params) for draw in draws}) == 16
