"""Resizing by matrices equals torch's bilinear interpolation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tuner.training.network.resize import resize, resize_by_matrices

sides = st.integers(1, 20)


@given(old=st.tuples(sides, sides), new=st.tuples(sides, sides), aligned=st.booleans())
@settings(max_examples=80, deadline=None)
def test_matrices_equal_interpolate(
    old: tuple[int, int], new: tuple[int, int], aligned: bool
) -> None:
    """Values and gradients agree at any pair of sizes, larger or smaller."""
    features = torch.randn(2, 3, *old, dtype=torch.float64, requires_grad=True)
    ours = resize_by_matrices(features, new, align_corners=aligned)
    theirs = functional.interpolate(features, size=new, mode="bilinear", align_corners=aligned)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    weights = torch.randn_like(ours)
    (left,) = torch.autograd.grad((ours * weights).sum(), features)
    (right,) = torch.autograd.grad((theirs * weights).sum(), features)
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(4, 6), (7, 5)])
def test_resize_gives_the_size_asked_for(size: tuple[int, int]) -> None:
    """Including none at all, when nothing is to be done."""
    features = torch.randn(1, 2, 4, 6)
    assert resize(features, size).shape[-2:] == size
    assert resize(features, (4, 6)) is features


def test_a_matrix_made_while_scoring_serves_training() -> None:
    """The matrices are kept, and scoring runs in a mode whose tensors know no gradient."""
    features = torch.randn(1, 2, 5, 6)
    with torch.inference_mode():
        resize_by_matrices(features, (11, 13))
    features.requires_grad_(True)
    resize_by_matrices(features, (11, 13)).sum().backward()
    assert features.grad is not None
