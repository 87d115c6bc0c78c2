"""What the model makes of a study's trials, whatever became of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.search.cube import UnitCube
from tuner.search.gaussian_process import KernelSpec
from tuner.search.observation import Observation, Translator
from tuner.search.rung_results import RungResults
from tuner.search.surrogate import Surrogate, scalarised, surrogate
from tuner.spec.states import TrialState

SPEC = study(space={"augment.rotate": {"float": [0.0, 30.0]}})
CUBE = UnitCube.of(SPEC.space)
KERNEL_SPEC = KernelSpec(CUBE.is_choice, np.array([0.0, 1.0]))
SEEDS = st.integers(0, 2**32 - 1)


def trial(number: int, rotate: float, state: TrialState, **rest: Any) -> Observation:
    """A trial that has been at the first rung, where 20 degrees are best."""
    worth = -((rotate - 20) ** 2) / 400
    final = (worth,) if state is TrialState.COMPLETED else None
    return Observation(number, state, {"augment.rotate": rotate}, final, {2: worth}, **rest)


def model(*seen: Observation, startup: int = 3, history: int = 300) -> Surrogate | None:
    """The surrogate of a study of two rungs that is to be maximised."""
    results = RungResults(CUBE, (2,), 1)
    results.update([Translator(SPEC).trial(each) for each in seen])
    return surrogate(
        results, results.values, KERNEL_SPEC, asked=99, startup=startup, history=history
    )


def values(found: Surrogate | None, *rotations: float) -> list[float]:
    """What points promise."""
    assert found is not None
    return [float(v) for v in found.acquisition.values(np.array(rotations)[:, np.newaxis] / 30)]


SEEN = [trial(n, 5.0 * n, TrialState.COMPLETED) for n in range(7)]


def test_running_trials_are_believed() -> None:
    """Where one is under way there is less to gain; a paused one has said what it had to say."""
    running, paused, waiting = (
        values(model(*SEEN, trial(7, 22.5, state)), 22.5)[0]
        for state in (TrialState.RUNNING, TrialState.PAUSED, TrialState.WAITING)
    )
    assert running < paused
    assert waiting == running


def test_there_is_no_model_of_too_few_results() -> None:
    """A trial counts once, at whatever rung it was; what failed does not count."""
    some = [trial(n, 5.0 * n, TrialState.PAUSED) for n in range(3)]
    failed = trial(3, 20.0, TrialState.FAILED)
    assert model(*some, failed, startup=4) is None
    assert model(*some, trial(3, 20.0, TrialState.RUNNING), startup=4) is not None
    assert model(startup=0) is None


def test_the_best_are_looked_around() -> None:
    """By what is expected of them, the running ones too; those beyond a bound come last."""
    broken = trial(7, 20.5, TrialState.COMPLETED, constraints=(1.0,))
    found = model(*SEEN, broken, trial(8, 21.0, TrialState.RUNNING))
    assert found is not None
    rotations = found.leaders[:, 0] * 30
    assert rotations[:2] == pytest.approx([20, 21])
    assert sorted(rotations[2:]) == pytest.approx([10, 15, 25, 30])


def test_no_bound_no_term() -> None:
    """Bounds that all trials keep cost nothing; before any is kept, keeping it is all."""
    kept = [trial(n, 5.0 * n, TrialState.COMPLETED, constraints=(0.0, 0.0)) for n in range(7)]
    half = [
        trial(n, 5.0 * n, TrialState.COMPLETED, constraints=(float(n > 3), 0.0)) for n in range(7)
    ]
    none = [trial(n, 5.0 * n, TrialState.COMPLETED, constraints=(1.0 + n,)) for n in range(7)]
    for seen, count in ((kept, 1), (half, 2), (none, 1)):
        found = model(*seen)
        assert found is not None
        assert len(found.acquisition.terms) == count
    low, high = values(model(*none), 1.0, 29.0)
    assert low > high


def test_what_cannot_be_trained_is_left_alone() -> None:
    """A region that fails promises little, however good it might be."""
    failed = [
        Observation(n, TrialState.FAILED, {"augment.rotate": 14.0 + n}, trainable=False)
        for n in range(7, 12)
    ]
    inside, outside = values(model(*SEEN[:3], *failed), 22.5, 12.0)
    before, _ = values(model(*SEEN[:3]), 22.5, 12.0)
    assert inside < before - 1
    assert inside < outside


def test_a_long_history_is_cut() -> None:
    """Rows beyond the limit are left out; the crowd still counts them."""
    rng = np.random.default_rng(0)
    seen = [trial(n, float(r), TrialState.COMPLETED) for n, r in enumerate(rng.random(80) * 30)]
    found = model(*seen, history=40)
    assert found is not None
    assert len(found.taken) == 80
    (term,) = found.acquisition.terms
    assert len(term.process.rows) <= 40


@few
@given(SEEDS, st.integers(2, 4))
def test_a_point_that_others_dominate_is_never_the_best(seed: int, objectives: int) -> None:
    """Whatever the weights of the objectives are."""
    rng = np.random.default_rng(seed)
    finals = rng.normal(size=(20, objectives))
    finals[7] = finals.max(axis=0) + 0.1
    finals[8] = finals.min(axis=0) - 0.1
    finals[9, 0] = np.nan
    signs = np.ones(objectives)
    found = scalarised(finals, signs, rng)[:, 0]
    assert np.nanargmin(found) == 7
    assert np.nanargmax(found) == 8
    assert np.isnan(found[9])
    assert np.nanargmax(scalarised(finals, -signs, rng)[:, 0]) == 7
