"""Draws lie in the space, repeat from a seed, and never repeat a trial without need."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import completed, few, spaces, study, toy_value
from tuner.configs.resolve import resolve
from tuner.errors import InvalidSpec
from tuner.search.observation import Observation, Translator
from tuner.search.rules import Rules
from tuner.search.suggest import Draw, Suggester, point_key
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

TPE = {"trials": 40, "seed": 3, "sampler": {"name": "tpe", "startup": 4}}
SMALL = {"augment.rotate": {"int": [0, 4]}, "training.batch_size": {"choice": [4, 8]}}


def run(spec: StudySpec, trials: int, *, restart_at: int | None = None) -> list[Draw]:
    """A sequential search over the toy objective, with a new process in the middle if asked."""
    suggester = Suggester(Rules(spec))
    draws: list[Draw] = []
    seen: list[Observation] = []
    for number in range(trials):
        if number == restart_at:
            suggester, new = Suggester(Rules(spec)), list(reversed(seen))
        else:
            new = seen[-1:]
        draws.append(suggester.draw(new, number))
        seen.append(completed(number, draws[-1].params))
    return draws


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_repeats_from_its_seed(sampler: str) -> None:
    """The same study with the same results draws the same trials."""
    spec = study(search={"sampler": sampler, "seed": 5})
    assert run(spec, 15) == run(spec, 15)


def test_another_seed_is_another_search() -> None:
    """Otherwise the seed would say nothing."""
    assert run(study(search={"seed": 1}), 4)[1:] != run(study(search={"seed": 2}), 4)[1:]


@pytest.mark.parametrize("restart_at", [1, 9, 14])
def test_a_restarted_server_draws_the_same(restart_at: int) -> None:
    """A new process continues the search of the old one, TPE fitted or not."""
    spec = study(search=TPE)
    assert run(spec, 16, restart_at=restart_at) == run(spec, 16)


def test_a_draw_that_was_rolled_back_is_drawn_again() -> None:
    """Asking leaves no trace: only observations count."""
    suggester = Suggester(Rules(study(search=TPE)))
    history = [completed(k, d.params) for k, d in enumerate(run(study(search=TPE), 8))]
    first = suggester.draw(history, 8)
    assert suggester.draw([], 8) == first


def test_a_running_trial_pushes_later_draws_away() -> None:
    """Eight draws in parallel, none reported, are eight different trials."""
    spec = study(search=TPE)
    history = [completed(k, d.params) for k, d in enumerate(run(spec, 10))]
    suggester = Suggester(Rules(spec))
    for number in range(10, 18):
        params = suggester.draw(history, number).params
        history.append(Observation(number, TrialState.RUNNING, params))
    assert len({point_key(seen.params) for seen in history}) == 18


def test_tpe_learns() -> None:
    """Its late draws are better than its first ones."""
    spec = study(search={"sampler": "tpe", "seed": 1})
    values = [toy_value(draw.params) for draw in run(spec, 50)]
    assert sum(values[-15:]) / 15 > sum(values[1:11]) / 10


def test_trial_zero_is_the_base_recipe() -> None:
    """Its params are the base's own values, so that its config is the base's."""
    spec = study()
    params = Suggester(Rules(spec)).draw([], 0).params
    assert params["optimizer.lr"] == 0.01
    assert params["augment.rotate"] == 0
    assert resolve(spec.base, spec.dataset, params) == resolve(spec.base, spec.dataset, {})


def test_a_base_outside_of_the_space_is_still_trial_zero() -> None:
    """What the space does not contain is not claimed as a param."""
    spec = study(
        base={"optimizer": {"name": "adamw", "lr": 0.5}},
        space={
            "optimizer.name": {"choice": ["sgd"]},
            "optimizer.weight_decay": {"float": [1e-5, 1e-3]},
        },
    )
    assert Rules(spec).base_params == {"optimizer.weight_decay": 5e-4}


@few
@given(spaces())
def test_base_params_change_nothing(ranges: dict[str, Any]) -> None:
    """In every space, trial 0 trains exactly the base recipe."""
    spec = study(space=ranges)
    params = Rules(spec).base_params
    assert resolve(spec.base, spec.dataset, params) == resolve(spec.base, spec.dataset, {})


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_no_trial_is_repeated_while_the_space_has_more(sampler: str) -> None:
    """A finite space is used up before anything is trained twice."""
    spec = study(space=SMALL, search={"sampler": sampler, "trials": 10})
    draws = run(spec, 10)
    assert len({point_key(draw.params) for draw in draws}) == 10
    assert all(draw.duplicate_of is None for draw in draws)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_used_up_space_says_so(sampler: str) -> None:
    """The eleventh of ten points names the trial that it repeats."""
    spec = study(space=SMALL, search={"sampler": sampler, "trials": 20})
    draws = run(spec, 11)
    earlier = draws[-1].duplicate_of
    assert earlier is not None
    assert draws[earlier].params == draws[-1].params


def test_a_failed_trial_is_not_tried_again() -> None:
    """The one free point is found, though random draws would rarely meet it."""
    spec = study(space={"augment.rotate": {"int": [0, 29]}}, search={"sampler": "random"})
    failed = [
        Observation(k, TrialState.FAILED, {"augment.rotate": k}) for k in range(30) if k != 17
    ]
    assert Suggester(Rules(spec)).draw(failed, 40).params == {"augment.rotate": 17}


def test_the_grid_respects_conditions() -> None:
    """Momentum is drawn under sgd only; every point once."""
    spec = study(
        space={
            "optimizer.name": {"choice": ["sgd", "adamw"]},
            "optimizer.momentum": {"choice": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
        },
        search={"sampler": "grid", "trials": 3},
    )
    drawn = {point_key(draw.params) for draw in run(spec, 3)}
    assert drawn == {
        point_key({"optimizer.name": "adamw"}),
        point_key({"optimizer.name": "sgd", "optimizer.momentum": 0.0}),
        point_key({"optimizer.name": "sgd", "optimizer.momentum": 0.9}),
    }


@pytest.mark.parametrize(
    ("ranges", "trials", "limit"),
    [
        (SMALL, 60, 10),
        (SMALL, 7, 7),
        ({"augment.rotate": {"int": [5, 9]}}, 60, 6),
        ({"optimizer.lr": {"float": [0.001, 0.1]}}, 60, 60),
        ({}, 60, 1),
    ],
)
def test_a_small_space_limits_the_trials(ranges: dict[str, Any], trials: int, limit: int) -> None:
    """No more trials than points, plus the base recipe if it is none of them."""
    assert Rules(study(space=ranges, search={"trials": trials})).trial_limit == limit


@few
@given(st.integers(0, 10**6), st.integers(1, 10**4))
def test_a_draw_depends_on_seed_and_number_only(seed: int, number: int) -> None:
    """Random draws are counted, not carried: no earlier draw is needed to repeat one."""
    spec = study(search={"sampler": "random", "seed": seed % 2**31})
    suggester = Suggester(Rules(spec))
    suggester.draw([], number + 1)
    assert suggester.draw([], number) == Suggester(Rules(spec)).draw([], number)


def test_auto_means_a_model_of_the_rungs() -> None:
    """The default search is a model, not chance."""
    assert Rules(study()).sampler_name == "portfolio"
    assert Rules(study(search={"sampler": "random"})).sampler_name == "random"


def test_several_objectives_are_searched() -> None:
    """TPE takes them all, and a pruned trial among them does no harm."""
    spec = study(objectives=[{"metric": "miou"}, {"metric": "dice"}], search=TPE)
    suggester = Suggester(Rules(spec))
    seen: list[Observation] = []
    for number in range(12):
        params = suggester.draw(seen[-1:], number).params
        state = TrialState.PRUNED if number == 5 else TrialState.COMPLETED
        value = toy_value(params)
        seen.append(Observation(number, state, params, (value, -value), {1: value}))
    assert len({point_key(one.params) for one in seen}) == 12


def test_constraints_reach_the_sampler() -> None:
    """A missing metric counts as a large violation, finite as Optuna wants it."""
    spec = study(constraints=[{"metric": "dice", "min": 0.5}, {"metric": "recall", "min": 0.5}])
    seen = Observation(1, TrialState.COMPLETED, {}, (0.5,), constraints=(0.25, float("inf")))
    found = Translator(spec).trial(seen).constraints
    assert found["0"] == 0.25
    assert 1 < found["1"] < float("inf")


def test_infeasible_trials_are_left_behind() -> None:
    """TPE keeps away from where constraints break, although the objective is better there."""
    spec = study(
        space={"augment.rotate": {"float": [0, 30]}},
        constraints=[{"metric": "dice", "min": 0.5}],
        search={"sampler": "tpe", "seed": 2},
    )
    suggester, seen = Suggester(Rules(spec)), list[Observation]()
    for number in range(40):
        rotate = suggester.draw(seen[-1:], number).params["augment.rotate"]
        broken = max(0.0, (rotate - 15) / 30)
        seen.append(
            Observation(
                number,
                TrialState.COMPLETED,
                {"augment.rotate": rotate},
                (rotate / 30,),
                constraints=(broken,),
            )
        )
    late = [one for one in seen[-15:] if one.constraints == (0.0,)]
    assert len(late) > 7


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_a_network_that_breaks_a_bound_is_not_drawn_again(sampler: str) -> None:
    """Whatever else is drawn with it; only where nothing else is left."""
    bound = [{"metric": "latency_ms", "max": 30}]
    decoders = ["fcn", "deeplabv3plus", "ocr"]
    spec = study(
        base={"model": {"encoder": "resnet18"}},
        space={
            "model.decoder": {"choice": decoders},
            "model.dropout": {"float": [0.0, 0.5]},
            "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
        },
        constraints=bound,
        deployment={"device": "cpu"},
        search={"sampler": sampler, "seed": 3},
    )

    def ended(number: int, decoder: str) -> Observation:
        params = {"model.decoder": decoder, "model.dropout": 0.1, "optimizer.lr": 0.01 + number}
        return Observation(number, TrialState.PRUNED, params, constraints=(12.0,))

    suggester = Suggester(Rules(spec))
    found = [suggester.draw([ended(1, "ocr")], number) for number in range(2, 20)]
    drawn = {draw.params["model.decoder"] for draw in found}
    assert drawn == {"fcn", "deeplabv3plus"}
    rest = [ended(30, "fcn"), ended(31, "deeplabv3plus")]
    assert suggester.draw(rest, 32).params["model.decoder"] in decoders


def test_trials_that_do_not_fit_are_left_behind() -> None:
    """TPE keeps away from what ran out of memory, although the objective is better near it."""
    spec = study(space={"augment.rotate": {"float": [0, 30]}}, search={"sampler": "tpe", "seed": 2})
    suggester, seen = Suggester(Rules(spec)), list[Observation]()
    for number in range(40):
        rotate = suggester.draw(seen[-1:], number).params["augment.rotate"]
        fits = rotate <= 15
        state, values = (
            (TrialState.COMPLETED, (rotate / 30,)) if fits else (TrialState.FAILED, None)
        )
        seen.append(Observation(number, state, {"augment.rotate": rotate}, values, trainable=fits))
    assert sum(one.trainable for one in seen[-15:]) > 7


def test_observations_of_another_process_are_enough() -> None:
    """A suggester that never drew knows what was taken from what it is told."""
    spec = study(space=SMALL, search={"sampler": "random"})
    history = [completed(k, d.params) for k, d in enumerate(run(spec, 9))]
    random.Random(0).shuffle(history)
    last = Suggester(Rules(spec)).draw(history, 9)
    assert point_key(last.params) not in {point_key(seen.params) for seen in history}


def test_a_base_that_does_not_resolve_is_refused() -> None:
    """The sample's base with an unknown loss cannot be trial 0."""
    spec = study(base={"loss": {"name": "zzz"}})
    with pytest.raises(InvalidSpec):
        _ = Rules(spec).base_params
