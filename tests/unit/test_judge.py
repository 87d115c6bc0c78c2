"""When trials are compared, with whom, and what is said."""

import pytest

from tests.unit.samples import study
from tuner.search.judge import judge
from tuner.search.learning_curve import LearningCurve
from tuner.search.plan import plan
from tuner.search.rules import Rules
from tuner.spec.messages import Action
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec


def spec(epochs: int = 20, pruner: object = "asha", **changes: object) -> StudySpec:
    """The sample study with a pruner."""
    base = {"training": {"epochs": epochs}}
    return study(base=base, search={"pruner": pruner, "trials": 30}, **changes)


def curve(number: int, **values: float) -> LearningCurve:
    """A running trial: `e2=0.4` is 0.4 at epoch 2."""
    steps = {int(key[1:]): value for key, value in values.items()}
    return LearningCurve(number, TrialState.RUNNING, steps)


PEERS = [curve(k, e1=0.1, e2=0.40 + k / 100) for k in range(8)]


def test_a_weak_trial_is_pruned_at_a_rung() -> None:
    """The reason says what was compared, in words and numbers."""
    verdict = judge(Rules(spec()), curve(8, e1=0.1, e2=0.39), PEERS)
    assert verdict.action is Action.PRUNE
    assert verdict.reason == "miou 0.390 at epoch 2 is below the best third of 9 trials (0.450)"


def test_a_strong_trial_goes_on() -> None:
    """Among the best third, whatever the others do."""
    assert judge(Rules(spec()), curve(8, e2=0.46), PEERS).action is Action.CONTINUE


def test_a_trial_equal_to_the_bar_goes_on() -> None:
    """Ties are not losses."""
    assert judge(Rules(spec()), curve(8, e2=0.45), PEERS).action is Action.CONTINUE


def test_between_rungs_nobody_is_judged() -> None:
    """Epoch 3 of 20 is no rung."""
    assert judge(Rules(spec()), curve(8, e3=0.0), [curve(1, e3=0.9)] * 9).action is Action.CONTINUE


def test_the_first_trials_at_a_rung_go_on() -> None:
    """Fewer than eta results are no comparison."""
    assert judge(Rules(spec()), curve(8, e2=0.0), PEERS[:1]).action is Action.CONTINUE


def test_the_final_step_is_never_pruned() -> None:
    """There is nothing left to save."""
    peers = [curve(k, e4=0.9) for k in range(9)]
    tight = spec(4, {"name": "asha", "min_step": 4})
    assert judge(Rules(tight), curve(9, e4=0.0), peers).action is Action.CONTINUE


def test_a_trial_is_not_its_own_peer() -> None:
    """Its own earlier self among the peers changes nothing."""
    trial = curve(3, e2=0.43)
    others = [peer for peer in PEERS if peer.number != 3]
    assert judge(Rules(spec()), trial, PEERS) == judge(Rules(spec()), trial, others)


def test_a_trial_without_reports_goes_on() -> None:
    """Nothing reported, nothing judged."""
    assert judge(Rules(spec()), curve(8), PEERS).action is Action.CONTINUE


def test_a_value_that_is_no_number_loses() -> None:
    """A trial that diverged is not kept for the noise of others."""
    assert judge(Rules(spec()), curve(8, e2=float("nan")), PEERS).action is Action.PRUNE


def test_less_is_better_where_the_objective_says_so() -> None:
    """With train_loss, the highest value is the weakest."""
    low = spec(objectives=[{"metric": "train_loss", "direction": "minimize"}])
    verdict = judge(Rules(low), curve(8, e2=0.9), PEERS)
    assert verdict.action is Action.PRUNE
    assert "is above the best third" in verdict.reason
    assert judge(Rules(low), curve(8, e2=0.1), PEERS).action is Action.CONTINUE


def test_the_median_rule_compares_the_best_so_far() -> None:
    """A dip does not hurt a trial that was good before."""
    middle = spec(20, {"name": "median", "startup": 3})
    peers = [curve(k, e3=0.5) for k in range(5)]
    assert judge(Rules(middle), curve(8, e2=0.6, e3=0.1), peers).action is Action.CONTINUE
    verdict = judge(Rules(middle), curve(8, e2=0.2, e3=0.3), peers)
    assert verdict.reason == (
        "best miou 0.300 up to epoch 3 is below the median of 5 trials (0.500)"
    )


def test_the_median_rule_waits_for_peers_and_warm_up() -> None:
    """Neither too few results nor warm-up epochs say anything."""
    middle = spec(20, {"name": "median", "startup": 5, "warmup": 3})
    peers = [curve(k, e3=0.5, e4=0.5) for k in range(5)]
    assert judge(Rules(middle), curve(8, e3=0.1), peers).action is Action.CONTINUE
    assert judge(Rules(middle), curve(8, e4=0.1), peers[:4]).action is Action.CONTINUE
    assert judge(Rules(middle), curve(8, e4=0.1), peers).action is Action.PRUNE


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, ()),
        (2, (1,)),
        (4, (2,)),
        (9, (2, 6)),
        (20, (2, 6, 18)),
        (52, (3, 9, 27)),
        (100, (6, 18, 54)),
        (484, (28, 84, 252)),
    ],
)
def test_rungs_grow_from_a_seventeenth_of_the_budget(
    epochs: int, expected: tuple[int, ...]
) -> None:
    """By factors of three, and never from epoch 1 if there are others."""
    no_warmup = study(
        base={"training": {"epochs": epochs}, "schedule": {"warmup": 0}},
        search={"pruner": "asha"},
    )
    assert Rules(no_warmup).rungs == expected


def test_the_first_rung_lies_past_the_longest_warm_up() -> None:
    """A searched warm-up counts with its longest."""
    searched = study(
        base={"training": {"epochs": 20}},
        space={"schedule.warmup": {"float": [0.0, 0.2]}},
        search={"pruner": "asha"},
    )
    assert Rules(searched).rungs == (5, 15)


@pytest.mark.parametrize(
    ("epochs", "objectives", "name"),
    [(20, 1, "promote"), (9, 1, "promote"), (8, 1, "none"), (20, 2, "promote")],
)
def test_auto_prunes_where_rungs_make_sense(epochs: int, objectives: int, name: str) -> None:
    """Given enough epochs, whatever the number of objectives."""
    metrics = [{"metric": "miou"}, {"metric": "dice"}][:objectives]
    assert Rules(spec(epochs, "auto", objectives=metrics)).pruner_name == name


@pytest.mark.parametrize("sampler", ["cmaes", "nsga2", "nsga3"])
def test_auto_pauses_nothing_for_samplers_that_would_starve(sampler: str) -> None:
    """They learn from trials that have ended."""
    assert Rules(study(search={"sampler": sampler})).pruner_name == "none"


def test_judged_steps_tell_when_peers_are_needed() -> None:
    """None of them, some of them, or all of them."""
    assert Rules(spec(20, "none")).judged_steps == frozenset()
    assert Rules(spec(20, "asha")).judged_steps == {2, 6, 18}
    free = study(
        base={"training": {"epochs": 20}, "schedule": {"warmup": 0}},
        search={"pruner": "median"},
    )
    assert Rules(free).judged_steps is None


def test_the_plan_tells_the_worst_case() -> None:
    """Trials × epochs if nothing is pruned, with no more trials than points."""
    found = plan(Rules(spec(space={"augment.rotate": {"int": [0, 4]}})))
    assert (found.sampler, found.pruner, found.trials) == ("portfolio", "asha", 5)
    assert found.rungs == (2, 6, 18)
    assert found.worst_epochs == 100
