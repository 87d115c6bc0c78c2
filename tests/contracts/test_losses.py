"""Every loss keeps the one ignore contract: mean over valid pixels, zero where there are none."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tuner.configs import catalog
from tuner.training.ignore import IGNORE

CLASSES = 4
SHARES = (0.6, 0.3, 0.1, 0.0)


def build(loss: str) -> nn.Module:
    """The loss with its default options."""
    built = catalog.load("loss", loss).build(CLASSES, SHARES)
    assert isinstance(built, nn.Module)
    return built


def batch(seed: int, *, ignored: float = 0.3) -> tuple[Tensor, Tensor]:
    """Random logits and labels; the last class is absent."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, CLASSES, 5, 7, generator=generator)
    labels = torch.randint(0, CLASSES - 1, (2, 5, 7), generator=generator)
    void = torch.rand(labels.shape, generator=generator) < ignored
    return logits, labels.masked_fill(void, IGNORE)


@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 50))
@settings(max_examples=20, deadline=None)
def test_loss_and_gradient_are_finite(loss: str, seed: int, scale: float) -> None:
    """Logits of any plausible size give a finite, non-negative loss and a finite gradient."""
    logits, labels = batch(seed)
    logits = (logits * scale).requires_grad_()
    value = build(loss)(logits, labels)
    value.backward()
    assert value.ndim == 0
    assert torch.isfinite(value)
    assert value >= 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_all_ignored_gives_zero_with_a_graph(loss: str) -> None:
    """A batch without a valid pixel must not poison the weights."""
    logits, labels = batch(0)
    logits.requires_grad_()
    value = build(loss)(logits, torch.full_like(labels, IGNORE))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_ignored_pixels_have_no_say(loss: str, seed: int) -> None:
    """What the network says at ignored pixels changes neither loss nor gradient elsewhere."""
    logits, labels = batch(seed)
    void = (labels == IGNORE).unsqueeze(1)
    other = torch.where(void, logits.flip(0) * 10 + 3, logits)
    built = build(loss)
    torch.testing.assert_close(built(logits, labels), built(other, labels))


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_ignored_padding_changes_nothing(loss: str, seed: int) -> None:
    """The mean goes over valid pixels, not over all of them."""
    logits, labels = batch(seed)
    wide = nn.functional.pad(logits, (0, 6))
    void = nn.functional.pad(labels, (0, 6), value=IGNORE)
    built = build(loss)
    torch.testing.assert_close(built(wide, void), built(logits, labels))


def test_a_right_answer_costs_less_than_a_wrong_one(loss: str) -> None:
    """Logits that point at the label score better than logits that point beside it."""
    _, labels = batch(1)
    right = nn.functional.one_hot(labels.clamp(max=CLASSES - 1), CLASSES).permute(0, 3, 1, 2)
    wrong = right.roll(1, dims=1)
    built = build(loss)
    assert built(8.0 * right, labels) < built(8.0 * wrong, labels)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_an_absent_class_does_not_count(loss: str, seed: int) -> None:
    """A further class that nobody labels and nobody predicts changes nothing."""
    logits, labels = batch(seed)
    wide = nn.functional.pad(logits, (0, 0, 0, 0, 0, 1), value=-200.0)
    wider = catalog.load("loss", loss).build(CLASSES + 1, (*SHARES, 0.0))
    torch.testing.assert_close(wider(wide, labels), build(loss)(logits, labels))


def test_two_runs_agree_bit_for_bit(loss: str) -> None:
    """Loss and gradient are the same numbers again, also where errors tie."""
    logits, labels = batch(3)
    leaves = [logits.round().requires_grad_() for _ in range(2)]
    for leaf in leaves:
        build(loss)(leaf, labels).backward()
    first, second = (leaf.grad for leaf in leaves)
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_an_auxiliary_loss_keeps_the_contract(loss: str) -> None:
    """What a loss offers for auxiliary outputs is a loss, and finite where all is ignored."""
    logits, labels = batch(4)
    auxiliary = getattr(build(loss), "aux", build(loss))
    assert torch.isfinite(auxiliary(logits, labels))
    assert auxiliary(logits, torch.full_like(labels, IGNORE)).item() == 0
