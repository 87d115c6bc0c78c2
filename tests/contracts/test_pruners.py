"""Every pruner file keeps its contract: a frozen object, whose verdicts are pure and monotone.

A test that takes `pruner` runs for each of them.
"""

from dataclasses import FrozenInstanceError, fields, replace
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.configs import catalog
from tuner.configs.traits import PrunerTraits
from tuner.search.learning_curve import LearningCurve, PruningContext
from tuner.search.pruners._contract import Pausing, Pruner
from tuner.spec.messages import Action, Verdict
from tuner.spec.states import TrialState
from tuner.spec.study import Objective

EPOCHS = 20
VALUES = st.floats(0, 1) | st.just(float("nan"))
CURVES = st.dictionaries(st.integers(1, EPOCHS), VALUES, min_size=1)
CONTEXTS = st.sampled_from(
    [
        PruningContext(Objective(metric="miou"), EPOCHS),
        PruningContext(Objective(metric="train_loss", direction="minimize"), EPOCHS, warmup=1),
    ]
)


@st.composite
def trials(draw: st.DrawFn) -> list[LearningCurve]:
    """Peers of every state, numbered from 1."""
    curves = draw(st.lists(CURVES, max_size=12))
    states = st.sampled_from(list(TrialState))
    return [
        LearningCurve(number, draw(states), curve) for number, curve in enumerate(curves, start=1)
    ]


def built(pruner: str, **options: Any) -> Pruner:
    """The pruner, with its defaults unless options are given."""
    found: Pruner = catalog.load("pruner", pruner).build(**options)
    return found


def verdict(
    pruner: str, trial: LearningCurve, peers: list[LearningCurve], context: PruningContext
) -> Verdict:
    """What the pruner says with its defaults."""
    return built(pruner).should_prune(trial, peers, context)


@few
@given(CURVES, trials(), CONTEXTS, st.randoms())
def test_the_order_of_peers_does_not_matter(
    pruner: str,
    curve: dict[int, float],
    peers: list[LearningCurve],
    context: PruningContext,
    chance: Any,
) -> None:
    """Whoever reported first, the verdict is the same."""
    trial = LearningCurve(0, TrialState.RUNNING, curve)
    shuffled = list(peers)
    chance.shuffle(shuffled)
    assert verdict(pruner, trial, peers, context) == verdict(pruner, trial, shuffled, context)


@few
@given(CURVES, trials(), CONTEXTS, st.floats(0, 1))
def test_a_better_value_never_hurts(
    pruner: str,
    curve: dict[int, float],
    peers: list[LearningCurve],
    context: PruningContext,
    better: float,
) -> None:
    """A trial that goes on would go on with a better last value too."""
    step = max(curve)
    if not context.objective.is_better(better, curve[step]):
        return
    kept = verdict(pruner, LearningCurve(0, TrialState.RUNNING, curve), peers, context)
    improved = LearningCurve(0, TrialState.RUNNING, {**curve, step: better})
    if kept.action is Action.CONTINUE:
        assert verdict(pruner, improved, peers, context).action is Action.CONTINUE


@few
@given(CURVES, trials(), CONTEXTS)
def test_other_steps_of_peers_do_not_matter(
    pruner: str, curve: dict[int, float], peers: list[LearningCurve], context: PruningContext
) -> None:
    """Only what peers had at this very step counts, however far they are."""
    step = max(curve)
    trial = LearningCurve(0, TrialState.RUNNING, curve)
    at_step = [
        LearningCurve(peer.number, peer.state, {step: peer.values[step]})
        for peer in peers
        if step in peer.values
    ]
    assert verdict(pruner, trial, peers, context) == verdict(pruner, trial, at_step, context)


@few
@given(trials(), CONTEXTS, st.integers(1, EPOCHS))
def test_the_best_of_all_goes_on(
    pruner: str, peers: list[LearningCurve], context: PruningContext, step: int
) -> None:
    """No rule stops the leader, or lets it wait when no other trial will come."""
    best = 2.0 if context.objective.direction == "maximize" else -1.0
    trial = LearningCurve(0, TrialState.RUNNING, {step: best})
    assert verdict(pruner, trial, peers, context).action is not Action.PRUNE
    last = replace(context, closing=True)
    assert verdict(pruner, trial, peers, last).action is Action.CONTINUE


@few
@given(CURVES, CONTEXTS)
def test_alone_a_trial_goes_on(
    pruner: str, curve: dict[int, float], context: PruningContext
) -> None:
    """Nothing to compare with, nothing to prune; a rule that looks at one trial may stop it."""
    if not catalog.traits(PrunerTraits, pruner).peers:
        return
    trial = LearningCurve(0, TrialState.RUNNING, curve)
    if isfinite(curve[max(curve)]):
        assert verdict(pruner, trial, [], replace(context, closing=True)) == Verdict()


@few
@given(CURVES, trials(), CONTEXTS)
def test_whoever_does_not_go_on_is_told_why(
    pruner: str, curve: dict[int, float], peers: list[LearningCurve], context: PruningContext
) -> None:
    """A pruned or paused trial is told why, with metric and epoch."""
    found = verdict(pruner, LearningCurve(0, TrialState.RUNNING, curve), peers, context)
    if found.action is not Action.CONTINUE:
        assert context.objective.metric in found.reason
        assert f"epoch {max(curve)}" in found.reason
    else:
        assert found == Verdict()


@given(CONTEXTS)
def test_judged_steps_lie_before_the_end(pruner: str, context: PruningContext) -> None:
    """The last epoch is never judged; every step may be meant by None."""
    steps = built(pruner).judged_steps(context)
    assert steps is None or all(1 <= step < context.epochs for step in steps)


def test_the_fields_of_a_pruner_are_its_options(pruner: str) -> None:
    """What the catalog lets a study set is what the object holds, with the same defaults."""
    options = catalog.find("pruner", pruner).options
    found: Any = built(pruner)

    assert {name: option.default for name, option in options.items()} == {
        field.name: getattr(found, field.name) for field in fields(found)
    }


def test_a_pruner_never_changes(pruner: str) -> None:
    """Two of the same options are equal, and no field of one can be set."""
    found: Any = built(pruner)

    assert built(pruner) == found
    for field in fields(found):
        with pytest.raises(FrozenInstanceError):
            setattr(found, field.name, None)


STEPS = st.sets(st.integers(1, EPOCHS - 1)).map(lambda steps: (*sorted(steps), EPOCHS))


@few
@given(st.integers(1, 5000), STEPS)
def test_survivors_only_become_fewer(pruner: str, count: int, steps: tuple[int, ...]) -> None:
    """All trials reach the first step that is named, and from step to step no more than before."""
    found = built(pruner).survivors(count, steps)

    values = [found[step] for step in sorted(found)]
    assert found.keys() <= set(steps)
    assert values == sorted(values, reverse=True)
    assert not values or values[0] == pytest.approx(count)


@few
@given(trials(), CONTEXTS, st.booleans(), st.randoms())
def test_only_paused_trials_are_promoted(
    pruner: str, peers: list[LearningCurve], context: PruningContext, closing: bool, chance: Any
) -> None:
    """Whatever the order of the trials, and with a reason."""
    found = built(pruner)
    if not isinstance(found, Pausing):
        return
    context = replace(context, closing=closing)
    shuffled = list(peers)
    chance.shuffle(shuffled)

    promoted = found.promote(peers, context)

    assert found.promote(shuffled, context) == promoted
    if promoted is not None:
        number, reason = promoted
        assert reason
        assert number in {one.number for one in peers if one.state is TrialState.PAUSED}


def test_a_pruner_pauses_if_it_says_so(pruner: str) -> None:
    """The checks of a submission read it in the file, the service asks the object."""
    assert catalog.traits(PrunerTraits, pruner).pauses == isinstance(built(pruner), Pausing)
