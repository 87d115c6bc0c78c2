"""Loading ahead: every index once, in order, and no number changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest
import torch

from tests.training import samples
from tuner.training.batches.batches import Batches
from tuner.training.batches.prefetch import Prefetch
from tuner.training.data.load import Data


class SampleSource:
    """Doubles an index, and notes what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.third = Event()

    def __call__(self, index: int) -> int:
        """Double."""
        self.asked.append(index)
        if len(self.asked) == 3:
            self.third.set()
        if index == 13:
            raise OSError("unlucky")
        return 2 * index


@contextmanager
def opened(source: SampleSource) -> Iterator[Prefetch[int]]:
    """A prefetch that is closed at the end."""
    ahead = Prefetch(source)
    try:
        yield ahead
    finally:
        ahead.close()


def test_the_next_are_loaded_before_they_are_asked_for() -> None:
    """Two more than was asked for."""
    source = SampleSource()
    with opened(source) as ahead:
        assert ahead.get(4) == 8
        assert source.third.wait(timeout=10)
        assert source.asked == [4, 5, 6]


def test_each_is_loaded_once() -> None:
    """In order, whatever was under way."""
    source = SampleSource()
    with opened(source) as ahead:
        assert [ahead.get(index) for index in range(6)] == [0, 2, 4, 6, 8, 10]
    assert source.asked[:6] == list(range(6))
    assert len(source.asked) == len(set(source.asked))


def test_a_jump_is_followed() -> None:
    """A run that goes on elsewhere gets what it asks for."""
    with opened(SampleSource()) as ahead:
        assert [ahead.get(index) for index in (7, 2, 9)] == [14, 4, 18]


def test_an_error_comes_where_its_index_is_asked_for() -> None:
    """Not earlier, and in its own kind."""
    with opened(SampleSource()) as ahead:
        assert ahead.get(12) == 24
        with pytest.raises(OSError, match="unlucky"):
            ahead.get(13)


def test_batches_are_the_same_with_and_without(scenes: Data) -> None:
    """Bit for bit, over the end of an epoch."""
    config = samples.config()
    plain = Batches(scenes.train, config, "cpu")
    ahead = Batches(scenes.train, config, "cpu", ahead=True)
    try:
        for epoch in (1, 2):
            for position in range(plain.per_epoch):
                pairs = zip(plain.batch(epoch, position), ahead.batch(epoch, position), strict=True)
                assert all(torch.equal(left, right) for left, right in pairs)
    finally:
        ahead.close()
