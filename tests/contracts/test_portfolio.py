"""Each sampler of the portfolio draws as often as it has earned, and the trial says which did."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, SingleOnlySamplerTestCase

from tests.unit.samples import few, study
from tests.unit.search_runs import CUBE, best, search, sphere
from tuner.configs import catalog
from tuner.search import surrogate
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Draw, Suggester
from tuner.spec.sources import DRAWN_BY
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

START = [dict.fromkeys(CUBE, -3.0)]


def spec_of(trials: int = 30, sampler: str = "portfolio", **options: Any) -> StudySpec:
    """A study by the portfolio, with many rungs of which the tests use none."""
    return study(
        space=CUBE, search={"sampler": {"name": sampler, **options}, "trials": trials, "seed": 5}
    )


def drawers(draws: Sequence[Draw]) -> Counter[str]:
    """How many of the draws each sampler made."""
    return Counter(draw.attrs[DRAWN_BY] for draw in draws)


def history(good: str, bad: str, count: int = 40) -> list[Observation]:
    """Trials of two samplers, of which the one's are better."""
    rng = random.Random(1)
    return [
        Observation(
            number,
            TrialState.COMPLETED,
            {path: rng.uniform(-5, 5) for path in CUBE},
            (number + (100.0 if number % 2 else 0.0),),
            attrs={DRAWN_BY: good if number % 2 else bad},
        )
        for number in range(count)
    ]


def test_every_trial_says_who_drew_it() -> None:
    """Random draws first, until the others have results; then all of them draw."""
    draws, _ = search(spec_of(trials=40), sphere, before=START)
    assert set(drawers(draws[:5])) == {"random"}
    assert set(drawers(draws)) == {"random", "rung_tpe", "gp"}


def test_a_prior_takes_its_draws_from_each_sampler_alike() -> None:
    """Whose turn it is has nothing to do with the chance by which the prior had none."""
    rate = {"optimizer.lr": {"float": [1e-4, 1e-1], "log": True}}
    prior = {"configs": [{"optimizer.lr": 0.01}], "weight": 0.5}
    search = {"sampler": "portfolio", "trials": 400, "seed": 5, "prior": prior}
    suggester = Suggester(Rules(study(space=rate, search=search)))
    seen = [
        Observation(
            number,
            TrialState.COMPLETED,
            {"optimizer.lr": round(1e-3 * (number + 4), 4)},
            (number / 10,),
            attrs={DRAWN_BY: "gp" if number % 2 else "rung_tpe"},
        )
        for number in range(7)
    ]
    counts: Counter[str] = Counter()
    for number in range(7, 107):
        draw = suggester.draw(seen, number)
        counts[str(draw.attrs.get(DRAWN_BY, draw.source))] += 1
        seen = []
    assert counts["prior"] > 10
    assert counts["gp"] > counts["rung_tpe"] / 2


def test_where_epochs_are_searched_stopped_trials_count_as_well() -> None:
    """A sampler is not judged by those of its draws that went on."""
    space = {**CUBE, "training.epochs": {"int": [9, 27]}}
    spec = study(space=space, search={"sampler": "portfolio", "trials": 99, "seed": 5})
    seen = [
        Observation(
            number,
            TrialState.PRUNED if number % 2 else TrialState.COMPLETED,
            {**dict.fromkeys(CUBE, number / 40), "training.epochs": 20},
            () if number % 2 else (0.5,),
            steps={2: 0.1 if number % 2 else 0.5},
            attrs={DRAWN_BY: "gp" if number % 2 else "rung_tpe"},
        )
        for number in range(40)
    ]
    earned = Suggester(Rules(spec)).earnings(seen)
    assert earned["gp"].results == earned["rung_tpe"].results == 20
    assert earned["gp"].share < earned["rung_tpe"].share


@pytest.mark.parametrize(("share", "name"), [(0, "rung_tpe"), (1, "gp")])
def test_a_fixed_share_of_one_is_that_sampler_alone(share: float, name: str) -> None:
    """Draw by draw the same params."""
    spec, alone = spec_of(trials=16, gp=share), spec_of(trials=16, sampler=name)
    mixed, plain = (search(each, sphere, before=START)[0] for each in (spec, alone))
    assert [draw.params for draw in mixed] == [draw.params for draw in plain]
    assert set(drawers(mixed[9:])) == {name}


def test_where_there_is_no_model_the_draw_counts_as_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Gaussian process earns nothing by what it did not draw."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(surrogate, "GaussianProcess", fail)
    draws, _ = search(spec_of(trials=12, gp=1.0), sphere, before=START)
    assert set(drawers(draws)) == {"random"}


@pytest.mark.parametrize(("good", "bad"), [("gp", "rung_tpe"), ("rung_tpe", "gp")])
def test_whose_draws_are_better_draws_more(good: str, bad: str) -> None:
    """At forty results most of the draws are its own, and the other still has some."""
    spec, seen = spec_of(trials=200), history(good, bad)
    suggester = Suggester(Rules(spec))
    counts = drawers([suggester.draw(seen if n == 40 else [], n) for n in range(40, 100)])
    assert counts[good] > 2 * counts[bad] > 0


@pytest.mark.parametrize(("least", "lowest", "highest"), [(0.0, 0.0, 0.1), (0.25, 0.16, 0.25)])
def test_what_earns_little_keeps_the_least_share(
    least: float, lowest: float, highest: float
) -> None:
    """Random draws that have earned nothing yet, and the model whose draws were bad."""
    suggester = Suggester(Rules(spec_of(trials=200, least=least)))
    shares = {
        name: one.share for name, one in suggester.earnings(history("gp", "rung_tpe")).items()
    }
    assert sum(shares.values()) == pytest.approx(1)
    assert lowest <= shares["random"] <= highest
    assert lowest <= shares["rung_tpe"] <= highest
    assert shares["gp"] > 0.5


def test_of_the_first_draws_by_models_a_fifth_is_random() -> None:
    """As long as nothing is earned; the models share the others alike."""
    shares = {name: one.share for name, one in Suggester(Rules(spec_of())).earnings([]).items()}
    assert shares == pytest.approx({"gp": 0.396, "rung_tpe": 0.396, "random": 0.208}, abs=1e-3)


@pytest.mark.parametrize("least", [0.1, 1.0])
def test_a_fixed_share_has_no_least(least: float) -> None:
    """Who fixes the share of one means the rest for the other."""
    earned = Suggester(Rules(spec_of(gp=1.0, least=least))).earnings([])
    assert {name: one.share for name, one in earned.items()} == {
        "gp": 1.0,
        "rung_tpe": 0.0,
        "random": 0.0,
    }


def quick_draws(spec: StudySpec) -> list[Draw]:
    """Sixty draws after forty trials by both models."""
    suggester, seen = Suggester(Rules(spec)), history("gp", "rung_tpe")
    return [suggester.draw(seen if n == 40 else [], n, quick=True) for n in range(40, 100)]


def test_a_quick_draw_is_never_one_of_the_slow_process() -> None:
    """However much it has earned; the others share by what they have."""
    assert set(drawers(quick_draws(spec_of(trials=200)))) == {"rung_tpe", "random"}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_quick_draws_beside_a_fixed_share_are_those_of_tpe(share: float) -> None:
    """Also where the process has all the others."""
    assert set(drawers(quick_draws(spec_of(trials=200, gp=share)))) == {"rung_tpe"}


def test_a_sampler_by_itself_draws_the_same_in_a_quick_draw() -> None:
    """It has nobody else to draw."""
    spec, seen = spec_of(trials=200, sampler="gp"), history("gp", "rung_tpe")
    quick, usual = (Suggester(Rules(spec)).draw(seen, 40, quick=each) for each in (True, False))
    assert quick == usual


@few
@given(st.randoms(use_true_random=False), st.integers(12, 40))
def test_any_order_of_trials_gives_the_same_draw(shuffler: random.Random, count: int) -> None:
    """Another server process, or the same one after a restart, reads them as they come."""
    spec, seen = spec_of(trials=200), history("gp", "rung_tpe", count)
    wanted = Suggester(Rules(spec)).draw(seen, count)
    shuffler.shuffle(seen)
    again = Suggester(Rules(spec))
    again.draw(seen[: count // 2], 99)
    assert again.draw(seen[count // 2 :], count) == wanted


def test_a_restart_changes_nothing() -> None:
    """Shares follow from the trials alone."""
    spec = spec_of(trials=24)
    whole, _ = search(spec, sphere, before=START, workers=2)
    broken, _ = search(spec, sphere, before=START, workers=2, restart_at=(9, 17))
    assert whole == broken


def test_it_finds_the_top_of_a_hill() -> None:
    """In thirty trials, three times nearer than chance comes in value."""
    _, trials = search(spec_of(), sphere, before=START, workers=4)
    chance = study(space=CUBE, search={"sampler": "random", "trials": 30})
    _, by_chance = search(chance, sphere, before=START)
    assert best(trials) > best(by_chance) / 3  # both are below zero


def test_a_space_that_is_used_up_is_repeated_by_chance() -> None:
    """No member draws what there is left, so none is credited with it."""
    space = {"augment.rotate": {"choice": [0.0, 10.0, 20.0]}}
    spec = study(space=space, search={"sampler": "portfolio", "trials": 20, "seed": 5})
    draws, _ = search(spec, lambda params: (params["augment.rotate"],), workers=1)
    assert set(drawers(draws[1:])) == {"random"}
    assert draws[-1].duplicate_of is not None


@pytest.mark.filterwarnings("ignore")  # the suites provoke warnings of Optuna's own on purpose
class TestSuites(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours, as Optuna's suites want it."""
        return lambda: catalog.load("sampler", "portfolio").build(Rules(study()), 0)
