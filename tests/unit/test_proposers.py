"""A prior is tried first, drawn around while it pays, and dropped when it does not."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState as OptunaState

from tests.unit.samples import SPACE, few, spaces, study
from tests.unit.search_runs import CUBE, best, search, sphere
from tuner.search.in_memory_storage import frozen
from tuner.search.observation import Observation, Translator
from tuner.search.proposers import Neighbourhood, PriorProposer
from tuner.search.rules import Rules
from tuner.search.suggest import Draw, Suggester
from tuner.spec.space import SearchSpace
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.study import StudySpec

START = [dict.fromkeys(CUBE, -3.0)]
GOOD, BAD = 1.3, -4.5


def prior(**changes: Any) -> StudySpec:
    """The sample study with two configs as its prior."""
    configs = [{"optimizer.lr": 0.02}, {"augment.rotate": 12, "training.batch_size": 16}]
    return study(search={"trials": 60, "seed": 4, "prior": {"configs": configs, **changes}})


def believed(at: float, monkeypatch: pytest.MonkeyPatch, *, trials: int, seed: int) -> StudySpec:
    """A study of four numbers that believes in a point on the diagonal."""
    point = dict.fromkeys(CUBE, at)
    monkeypatch.setattr("tuner.search.proposers.prior_points", lambda spec: [point])
    named = {"name": "tpe"}
    return study(
        space=CUBE,
        search={
            "trials": trials,
            "seed": seed,
            "sampler": named,
            "prior": {"configs": [point]},
        },
    )


def sources(draws: list[Draw]) -> list[TrialSource]:
    """Where each draw came from."""
    return [draw.source for draw in draws]


def test_configs_come_right_after_the_base_recipe() -> None:
    """In the order given, on top of the base recipe, and say that they are the prior's."""
    spec = prior(weight=0.0)
    suggester, seen = Suggester(Rules(spec)), list[Observation]()
    draws = []
    for number in range(4):
        draws.append(suggester.draw(seen[-1:], number))
        seen.append(Observation(number, TrialState.RUNNING, draws[-1].params))
    base = Rules(spec).base_params
    assert draws[1].params == {**base, "optimizer.lr": 0.02}
    assert draws[2].params == {**base, "augment.rotate": 12, "training.batch_size": 16}
    assert sources(draws)[1:] == ["prior", "prior", "sampler"]


def test_a_config_that_was_tried_is_not_tried_again() -> None:
    """Asked for by hand before its turn, it counts."""
    spec = prior(weight=0.0)
    by_hand = Observation(1, TrialState.RUNNING, {**Rules(spec).base_params, "optimizer.lr": 0.02})
    assert Suggester(Rules(spec)).draw([by_hand], 2).params["augment.rotate"] == 12


def test_a_grid_is_left_to_its_plan() -> None:
    """Only the configs themselves come first."""
    ranges = {"augment.rotate": {"int": [0, 20]}}
    spec = study(
        space=ranges,
        search={"sampler": "grid", "trials": 21, "prior": {"configs": [{"augment.rotate": 7}]}},
    )
    draws, _ = search(spec, lambda params: (0.5,))
    assert [draw.params["augment.rotate"] for draw in draws[:4]] == [0, 7, 1, 2]
    assert sources(draws).count(TrialSource.PRIOR) == 1


def test_about_half_of_the_first_draws_are_near_the_prior() -> None:
    """Over many seeds, before there is any result."""
    found = []
    for seed in range(60):
        spec = prior(weight=0.5)
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"seed": seed})})
        tried = [Observation(k, TrialState.RUNNING, p) for k, p in enumerate(_points(spec), 1)]
        found.append(Suggester(Rules(spec)).draw(tried, 9).source)
    assert 18 <= found.count(TrialSource.PRIOR) <= 42


def _points(spec: StudySpec) -> list[dict[str, Any]]:
    return list(PriorProposer(spec).candidates)


def share_of(spec: StudySpec, own: float, others: float, trials: int) -> float:
    """The prior's share after a third of the trials were its own, all with the same value."""
    translate = Translator(spec).trial
    told = [
        Observation(
            number,
            TrialState.PRUNED,
            {},
            (value,),
            {2: value},
            attrs={"source": "prior"} if number % 3 == 0 else {},
        )
        for number, value in ((k, own if k % 3 == 0 else others) for k in range(trials))
    ]
    return PriorProposer(spec).share([translate(seen) for seen in told])


def test_the_share_falls_with_results_and_with_defeats() -> None:
    """Slowly where the prior's draws win, at once where they lose."""
    spec = prior(weight=0.5)
    assert share_of(spec, 0.5, 0.5, 0) == 0.5
    assert 0.5 > share_of(spec, 0.5, 0.5, 6) > share_of(spec, 0.5, 0.5, 12) > 0.1
    assert share_of(spec, 0.6, 0.4, 12) > share_of(spec, 0.5, 0.5, 12)
    assert share_of(spec, 0.4, 0.6, 12) < 0.02
    assert share_of(spec, 0.5, 0.5, 150) < 0.01


def test_trials_that_cannot_be_trained_are_defeats() -> None:
    """A prior whose configs do not fit into memory is soon left."""
    spec = prior(weight=0.5)
    fine = [frozen(k, OptunaState.PRUNED, steps={2: 0.5}) for k in range(4)]
    heavy = [frozen(k, OptunaState.PRUNED, attrs={"source": "prior"}) for k in range(4, 8)]
    assert PriorProposer(spec).share([*fine, *heavy]) < 0.02


def test_a_good_prior_helps_and_a_bad_one_hardly_hurts(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the mean of eight seeds, after twenty trials and after forty."""

    def mean(at: float | None, trials: int) -> float:
        found = []
        for seed in range(8):
            if at is None:
                spec = study(space=CUBE, search={"trials": trials, "seed": seed, "sampler": "tpe"})
            else:
                spec = believed(at, monkeypatch, trials=trials, seed=seed)
            found.append(best(search(spec, sphere, before=START)[1]))
        return sum(found) / len(found)

    cold = mean(None, 20)
    assert mean(GOOD, 20) > cold / 3  # all are below zero
    assert mean(BAD, 20) > cold * 1.5
    assert mean(BAD, 40) > mean(None, 40) * 2


def test_a_restart_changes_nothing() -> None:
    """What a proposer knows is read off the trials."""
    spec = prior()

    def value(params: dict[str, Any]) -> tuple[float, ...]:
        return (-abs(params["augment.rotate"] - 10.0),)

    whole, _ = search(spec, value, workers=3)
    broken, _ = search(spec, value, workers=3, restart_at=(5, 30))
    assert whole == broken
    assert {"prior", "sampler"} == set(sources(whole))


@few
@given(spaces(), st.integers(0, 99), st.integers(1, 50))
def test_a_neighbourhood_lies_in_the_space(
    document: dict[str, Any], seed: int, number: int
) -> None:
    """Around any point of any space."""
    spec = study(space=document, search={"sampler": "random"})
    centre = Suggester(Rules(spec)).draw([], number).params
    params = Neighbourhood(spec.space).near(centre, random.Random(seed))
    for path in spec.space.root:
        active = spec.space.active(path, params)
        assert (path in params) == (active is not None)
        assert active is None or active[1].contains(params[path])


def test_a_neighbourhood_is_dense_at_its_centre() -> None:
    """Choices mostly stay, numbers stay near on their own scale."""
    space = SearchSpace.model_validate(SPACE)
    centre = {
        "model.decoder": "ocr",
        "model.encoder": "resnet18",
        "optimizer.name": "sgd",
        "optimizer.lr": 0.01,
        "optimizer.weight_decay": 1e-4,
        "training.batch_size": 8,
        "augment.rotate": 10,
    }
    rng = random.Random(0)
    drawn = [Neighbourhood(space).near(centre, rng) for _ in range(400)]
    assert 260 < sum(params["optimizer.name"] == "sgd" for params in drawn) < 340
    near = [p for p in drawn if 1e-4 / 15.8 < p["optimizer.weight_decay"] < 1e-4 * 15.8]
    assert 220 < len(near) < 340  # within 1.2 of 4 decades: 1.5 standard deviations, cut at the top
