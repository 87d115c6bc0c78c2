"""Every loss that looks at a teacher keeps the ignore contract, and leaves the teacher alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tuner.configs import catalog
from tuner.training.ignore import IGNORE
from tuner.training.network.lessons import Lesson, Taught

CLASSES = 4
SHARES = (0.6, 0.3, 0.1, 0.0)
OWN, THEIRS = (3, 5), (4, 6)


def build(loss: str) -> Taught:
    """The loss with its default options, ready for features of these channels."""
    built = catalog.load("loss", loss).build(CLASSES, SHARES, teacher="teacher.pt")
    assert isinstance(built, Taught)
    torch.manual_seed(0)
    built.meet(OWN, THEIRS)
    return built


def sample(seed: int, *, ignored: float = 0.3) -> tuple[Tensor, Tensor, Lesson]:
    """Logits with a gradient, labels, and a lesson whose own features have one too."""
    made = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, CLASSES, 8, 12, generator=made).requires_grad_()
    labels = torch.randint(0, CLASSES, (2, 8, 12), generator=made)
    void = torch.rand(labels.shape, generator=made) < ignored
    lesson = Lesson(
        torch.randn(2, CLASSES, 8, 12, generator=made),
        [
            torch.randn(2, n, 8 // s, 12 // s, generator=made)
            for n, s in zip(THEIRS, (1, 2), strict=True)
        ],
        [
            torch.randn(2, n, 8 // s, 12 // s, generator=made).requires_grad_()
            for n, s in zip(OWN, (1, 4), strict=True)
        ],
    )
    return logits, labels.masked_fill(void, IGNORE), lesson


def gradients(logits: Tensor, lesson: Lesson) -> list[Tensor]:
    """What reached the network: its logits or its features."""
    return [each.grad for each in (logits, *lesson.own) if each.grad is not None]


@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 50))
@settings(max_examples=20, deadline=None)
def test_loss_and_gradient_are_finite(taught: str, seed: int, scale: float) -> None:
    """Logits of any plausible size give a finite, non-negative loss; the network learns from it."""
    logits, labels, lesson = sample(seed)
    value = build(taught)(logits * scale, labels, {"teacher.pt": lesson})
    value.backward()
    found = gradients(logits, lesson)
    assert value.ndim == 0
    assert torch.isfinite(value)
    assert value >= 0
    assert found
    assert all(torch.isfinite(each).all() for each in found)
    assert lesson.logits.grad is None


def test_all_ignored_gives_zero_with_a_graph(taught: str) -> None:
    """A batch without a valid pixel must not poison the weights."""
    logits, labels, lesson = sample(0)
    value = build(taught)(logits, torch.full_like(labels, IGNORE), {"teacher.pt": lesson})
    value.backward()
    assert value.item() == 0
    assert all(each.abs().sum() == 0 for each in gradients(logits, lesson))


@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_ignored_pixels_have_no_say(taught: str, seed: int) -> None:
    """What network and teacher say at ignored pixels changes nothing."""
    logits, labels, lesson = sample(seed)
    void = (labels == IGNORE).unsqueeze(1)
    other = torch.where(void, logits.flip(0) * 10 + 3, logits)
    theirs = torch.where(void, lesson.logits.flip(0) * 10 - 3, lesson.logits)
    built = build(taught)
    changed = Lesson(theirs, lesson.features, lesson.own)
    torch.testing.assert_close(
        built(logits, labels, {"teacher.pt": lesson}),
        built(other, labels, {"teacher.pt": changed}),
    )


def test_two_runs_agree_bit_for_bit(taught: str) -> None:
    """Loss and gradient are the same numbers again."""
    found = []
    for _ in range(2):
        logits, labels, lesson = sample(3)
        value = build(taught)(logits, labels, {"teacher.pt": lesson})
        value.backward()
        found.append([value, *gradients(logits, lesson)])
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))


def test_its_auxiliary_loss_keeps_the_contract(taught: str) -> None:
    """What it offers for auxiliary outputs is finite, and zero where all is ignored."""
    logits, labels, lesson = sample(4)
    built = build(taught)
    auxiliary = getattr(built, "aux", built)
    void = torch.full_like(labels, IGNORE)
    assert torch.isfinite(auxiliary(logits, labels, {"teacher.pt": lesson}))
    assert auxiliary(logits, void, {"teacher.pt": lesson}).item() == 0
