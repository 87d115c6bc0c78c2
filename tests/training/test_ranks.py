"""Processes that train one trial together divide its batches, and change none of them."""

from contextlib import nullcontext
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strengths import EXAMPLES
from tests.training import samples
from tuner.errors import DataChanged, TrainingError
from tuner.training import process_group
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data
from tuner.training.ranks import Rank


@given(length=st.integers(0, 200), count=st.integers(1, 64))
def test_parts_make_up_the_whole(length: int, count: int) -> None:
    """In the order of the ranks, each place once, and none has two more than another."""
    parts = [list(range(length))[Rank(index, count).part(length)] for index in range(count)]
    assert [place for part in parts for place in part] == list(range(length))
    sizes = [len(part) for part in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


@pytest.mark.parametrize(("index", "count"), [(-1, 1), (1, 1), (2, 2), (0, 0)])
def test_a_rank_is_one_of_them(index: int, count: int) -> None:
    """A number that is none of them is refused."""
    with pytest.raises(ValueError, match=f"rank {index} of {count}"):
        Rank(index, count)


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_see_the_batch_of_one_process(scenes: Data, count: int) -> None:
    """Together they get its samples with its augmentations, every one switched on."""
    strengths = {f"augment.{name}": strength for name, strength in EXAMPLES.items()}
    config = samples.config({**strengths, "training.batch_size": 5})
    alone = Batches(scenes.train, config, "cpu")
    ranks = [Batches(scenes.train, config, "cpu", rank=Rank(i, count)) for i in range(count)]
    for epoch in (1, 2):
        images, labels = alone.batch(epoch, 0)
        parts = [rank.batch(epoch, 0) for rank in ranks]
        torch.testing.assert_close(torch.cat([part[0] for part in parts]), images)
        assert torch.equal(torch.cat([part[1] for part in parts]), labels)
        assert {rank.per_epoch for rank in ranks} == {alone.per_epoch}


def test_a_batch_has_an_image_for_each_rank(scenes: Data) -> None:
    """A rank without an image is refused, with the sizes that are allowed."""
    with pytest.raises(TrainingError, match="2, but 3 processes share each batch; use 3 or more"):
        Batches(scenes.train, samples.config(), "cpu", rank=Rank(0, 3))


def test_buffers_of_any_kind_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics come from the first rank, whatever their layout; positions stay."""
    module: Any = torch.nn.BatchNorm2d(3)
    module.register_buffer("turned", torch.zeros(2, 3, dtype=torch.float64).t())
    module.register_buffer("places", torch.arange(6).view(2, 3).t())
    monkeypatch.setattr(dist, "broadcast", lambda sent, src: sent.copy_(torch.arange(len(sent))))
    process_group.Ranks(Rank(1, 2), "cpu").align(module)
    assert module.running_mean.tolist() == [0, 1, 2]
    assert module.running_var.tolist() == [3, 4, 5]
    assert module.turned.tolist() == [[6, 7], [8, 9], [10, 11]]
    assert module.places.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_ranks_meet_where_nobody_else_can_come() -> None:
    """The port is open on the loopback alone, and closed with the group."""

    def listening() -> set[tuple[str, int]]:
        found = psutil.Process().net_connections("tcp")
        listen = [each.laddr for each in found if each.status == psutil.CONN_LISTEN]
        return {(str(place.ip), int(place.port)) for place in listen}

    before = listening()
    store = process_group.meeting_place("127.0.0.1", 2)
    assert listening() - before == {("127.0.0.1", store.port)}
    other = process_group.met("127.0.0.1", store.port, 1)
    other.set("word", "heard")
    assert store.get("word") == b"heard"
    del other, store
    assert listening() == before


@pytest.mark.parametrize(
    ("device", "error", "is_left"),
    [
        ("cpu", OSError("full"), True),
        ("cuda:1", OSError("full"), False),
        ("cuda:1", DataChanged("other images"), True),
        ("cuda:1", None, True),
    ],
)
def test_gpus_do_not_wait_to_leave_a_group_that_failed(
    device: str, error: Exception | None, is_left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NCCL would wait for what the others owe; nothing is owed before the first exchange."""
    left = list[str]()
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **_: None)
    monkeypatch.setattr(dist, "new_group", lambda **_: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: left.append(device))
    store: Any = None
    with (
        nullcontext() if error is None else pytest.raises(type(error)),
        process_group.joined(Rank(0, 2), device, store),
    ):
        if error is not None:
            raise error
    assert bool(left) == is_left
