"""What holds for the draws of every sampler, over random spaces and histories."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.samples import completed, spaces, study
from tuner.configs import catalog
from tuner.configs.resolve import resolve
from tuner.configs.traits import SamplerTraits
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester, point_key
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

# Small generations, so that short histories have several, and models of few results.
OPTIONS: dict[str, dict[str, Any]] = {
    "cmaes": {"population": 5},
    "gp": {"startup": 3, "tpe": 0.25},
    "nsga2": {"population": 2},
    "nsga3": {"population": 2},
    "tpe": {"startup": 3},
}
SAMPLERS = catalog.names("sampler")
some = settings(max_examples=15, deadline=None)


def spec_of(sampler: str, ranges: dict[str, Any]) -> StudySpec:
    """A study of the space, or of the part of it that the sampler can search."""
    if not catalog.traits(SamplerTraits, sampler).conditional:
        ranges = {
            path: dimension
            for path, dimension in ranges.items()
            if isinstance(dimension, dict) and "when" not in dimension and path != "model.decoder"
        }
    if sampler == "grid":
        ranges = {"augment.rotate": {"int": [0, 30]}, "training.batch_size": {"choice": [4, 8]}}
    named = {"name": sampler, **OPTIONS.get(sampler, {})}
    return study(space=ranges, search={"trials": 40, "seed": 3, "sampler": named})


@st.composite
def histories(draw: st.DrawFn, spec: StudySpec) -> list[Observation]:
    """Trials that the study's own sampler drew, and what became of them: anything."""
    suggester, found = Suggester(Rules(spec)), list[Observation]()
    for number in range(draw(st.integers(1, 14))):
        drawn = suggester.draw(found[-1:], number)
        state = draw(st.sampled_from([*TrialState, TrialState.COMPLETED]))
        value = draw(st.floats(0, 1) | st.just(float("nan")))
        final = (value,) if state is TrialState.COMPLETED else None
        steps = {1: value, 2: value} if draw(st.booleans()) else {}
        broken = (draw(st.sampled_from([0.0, 0.3, float("inf")])),)
        attrs = dict(drawn.attrs)
        found.append(Observation(number, state, drawn.params, final, steps, attrs, broken))
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
@some
@given(spaces(), st.data())
def test_every_draw_lies_in_the_space_and_resolves(
    sampler: str, ranges: dict[str, Any], data: Any
) -> None:
    """It names the active dimensions and no others, and makes a valid config."""
    spec = spec_of(sampler, ranges)
    history = data.draw(histories(spec))
    params = Suggester(Rules(spec)).draw(history, len(history)).params
    for path in spec.space.root:
        active = spec.space.active(path, params)
        assert (path in params) == (active is not None)
        assert active is None or active[1].contains(params[path])
    assert resolve(spec.base, spec.dataset, params)


@pytest.mark.parametrize("sampler", SAMPLERS)
@some
@given(spaces(), st.data())
def test_a_draw_does_not_depend_on_how_the_history_came(
    sampler: str, ranges: dict[str, Any], data: Any
) -> None:
    """All at once as after a restart, shuffled, or one by one: the same history, the same draw."""
    spec = spec_of(sampler, ranges)
    history = data.draw(histories(spec))
    number = len(history)
    at_once = Suggester(Rules(spec)).draw(history, number)
    shuffled = Suggester(Rules(spec)).draw(data.draw(st.permutations(history)), number)
    gradual = Suggester(Rules(spec))
    for seen in history:
        began = Observation(seen.number, TrialState.RUNNING, seen.params, attrs=seen.attrs)
        gradual.draw([began], seen.number + 1)
    slow = gradual.draw(history, number)
    assert at_once.params == shuffled.params == slow.params
    assert at_once.attrs.keys() == shuffled.attrs.keys() == slow.attrs.keys()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_point_is_drawn_twice_while_there_are_others(sampler: str) -> None:
    """Twelve points are twelve trials, and the thirteenth says which it repeats."""
    spec = study(
        space={"augment.rotate": {"int": [0, 3]}, "training.batch_size": {"choice": [4, 8, 16]}},
        search={"sampler": {"name": sampler, **OPTIONS.get(sampler, {})}, "trials": 20},
    )
    suggester, seen = Suggester(Rules(spec)), list[Observation]()
    for number in range(13):
        draw = suggester.draw(seen[-1:], number)
        assert (draw.duplicate_of is not None) == (number == 12)
        seen.append(completed(number, draw.params))
    assert len({point_key(trial.params) for trial in seen}) == 12
