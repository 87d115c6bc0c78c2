"""Shares of a whole are counted as the decimal numbers that people write."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.configs.resolve import resolve
from tuner.search.fidelity import staged
from tuner.search.learning_curve import LearningCurve, PruningContext, context_of
from tuner.search.pruners import percentile
from tuner.search.rules import Rules
from tuner.spec import shares
from tuner.spec.messages import Action
from tuner.spec.space import Float
from tuner.spec.states import TrialState
from tuner.spec.study import Objective

DECIMALS = st.decimals(0, 1, allow_nan=False, places=4)
WHOLES = st.integers(0, 10**7)


@few
@given(DECIMALS, WHOLES)
def test_a_share_is_the_number_that_was_written(written: Decimal, whole: int) -> None:
    """Rounded to the nearest, up or down, it is the exact product."""
    product = Fraction(str(written)) * whole
    share = float(written)
    assert shares.nearest(share, whole) == round(product)
    assert shares.at_least(share, whole) == ceil(product)
    assert shares.at_most(share, whole) == floor(product)


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_percentage_of_a_hundred_is_its_number(percent: int) -> None:
    """Also .07, .29, .55, .57 and .58, whose float products are not."""
    share = percent / 100
    assert shares.at_least(share, 100) == shares.at_most(share, 100) == percent


@pytest.mark.parametrize("percent", range(1, 100))
def test_warm_up_of_a_study_lasts_its_share_of_the_epochs(percent: int) -> None:
    """Rungs begin right after it, not one epoch later."""
    base = {"training": {"epochs": 100}, "schedule": {"warmup": percent / 100}}
    assert context_of(study(base=base)).warmup == percent


@pytest.mark.parametrize("percent", range(1, 100))
def test_percentile_keeps_the_share_that_it_is_told(percent: int) -> None:
    """A trial as good as the last that is kept goes on, one just below is stopped."""
    context = PruningContext(Objective(metric="miou"), 10)
    peers = [LearningCurve(n, TrialState.RUNNING, {1: n / 100}) for n in range(100)]
    bar = (100 - percent) / 100
    for value, action in ((bar, Action.CONTINUE), (bar - 0.005, Action.PRUNE)):
        trial = LearningCurve(100, TrialState.RUNNING, {1: value})
        verdict = percentile.build(keep=percent / 100).should_prune(trial, peers, context)
        assert verdict.action is action


def test_a_rung_of_less_data_is_an_exact_share() -> None:
    """Three tenths of .7 of the images are .21 of them."""
    spec = study(search={"fidelity": "data"}, base={"training": {"epochs": 10}})
    config = resolve(spec.base, spec.dataset.model_copy(update={"subset": 0.7}), {})
    assert staged(config, Rules(spec), 3).dataset.subset == 0.21


@pytest.mark.parametrize(
    ("low", "high", "step"), [(0.2, 0.3, 0.1), (0.1, 0.4, 0.3), (0.7, 0.8, 0.1)]
)
def test_a_step_as_wide_as_its_range_is_allowed(low: float, high: float, step: float) -> None:
    """The difference of two floats may fall short of what was written."""
    assert Float.model_validate({"float": [low, high], "step": step}).contains(high)
