"""Counted randomness: position in, number out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tuner.training import draws

PINNED = [
    [0.0442472484338452, 0.8076123405947341],
    [0.15208221929176902, 0.07177243370850916],
]


def test_numbers_are_pinned() -> None:
    """The stream must never change, or resumed runs would not continue as they began."""
    numbers = draws.uniforms(7, 1, "flip", indices=np.array([0, 5]), count=2)
    assert numbers.tolist() == PINNED


@given(indices=st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_a_number_depends_on_its_own_index_only(indices: list[int]) -> None:
    """Asking for one sample or for many gives that sample the same numbers."""
    whole = draws.uniforms(1, "x", indices=np.array(indices), count=3)
    for row, index in zip(whole, indices, strict=True):
        alone = draws.uniforms(1, "x", indices=np.array([index]), count=3)
        assert np.array_equal(row, alone[0])
    assert ((whole >= 0) & (whole < 1)).all()


def test_numbers_are_uniform_and_uncorrelated() -> None:
    """Mean, variance and neighbour correlation of 100,000 numbers are those of a uniform law."""
    numbers = draws.uniforms(0, "x", indices=np.arange(100_000), count=1)[:, 0]
    assert abs(numbers.mean() - 0.5) < 0.005
    assert abs(numbers.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.01


@given(length=st.integers(1, 200), epoch=st.integers(0, 1000))
def test_an_order_holds_every_index_once(length: int, epoch: int) -> None:
    """A permutation leaves nobody out."""
    order = draws.permutation(3, epoch, length=length)
    assert sorted(order.tolist()) == list(range(length))
