"""Metrics of many matrices at once are those of each one."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.service.metric_arrays import compute as compute_all
from tuner.spec.metrics import MEASURES, SUMMARIES, compute
from tuner.store.matrix_sums import Sums, summed

CLASSES = ("road", "car", "tree")
_counts = st.one_of(st.just(0), st.integers(0, 2**40))
_matrices = st.lists(
    st.lists(st.lists(_counts, min_size=3, max_size=3), min_size=3, max_size=3),
    min_size=1,
    max_size=4,
)
METRICS = [
    *SUMMARIES,
    *(f"{measure}.{what}" for measure in MEASURES for what in ("car", "worst", "[tree, road]")),
]


@few
@given(_matrices)
def test_arrays_give_what_the_definition_gives(matrices: Sequence[list[list[int]]]) -> None:
    """Every name, with classes that are absent, never predicted, or all that there is."""
    cells = [np.array(matrix, "<i8").tobytes() for matrix in matrices]
    sums = Sums(np.arange(len(cells)), summed(cells, 3))
    for metric in METRICS:
        found = compute_all(metric, sums, CLASSES)
        for value, matrix in zip(found.tolist(), matrices, strict=True):
            expected = compute(metric, matrix, CLASSES)
            assert math.isnan(value) if expected is None else value == pytest.approx(expected)
