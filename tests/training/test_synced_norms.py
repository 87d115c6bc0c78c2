"""Batch norm over several processes is batch norm over all of their images."""

import copy
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from tests.training import samples
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.process_group import ProcessGroup
from tuner.training.ranks import Rank
from tuner.training.synced_norms import synchronise
from tuner.training.train import _find_micro_batch
from tuner.training.train_state import TrainState


class Table:
    """Where ranks of one process lay down their tensors."""

    def __init__(self, count: int) -> None:
        self.laid: list[Tensor] = [torch.empty(0)] * count
        self.barrier = Barrier(count, timeout=30)


class Threads(ProcessGroup):
    """A group whose ranks are threads."""

    def __init__(self, rank: Rank, table: Table) -> None:
        self.rank, self._table = rank, table

    def total(self, tensor: Tensor) -> Tensor:
        """Wait for all, and add up."""
        self._table.laid[self.rank.index] = tensor.detach()
        self._table.barrier.wait()
        found = torch.stack(self._table.laid).sum(0)
        self._table.barrier.wait()
        return found


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, BatchNormAct2d])
def test_ranks_learn_what_one_process_learns(kind: type[nn.BatchNorm2d]) -> None:
    """Outputs, gradients and running statistics, with unequal parts and in two steps."""
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Conv2d(3, 5, 3), kind(5)).train()
    ranks = [copy.deepcopy(whole) for _ in range(2)]
    table = Table(2)
    images, wanted = torch.randn(2, 5, 3, 6, 7), torch.randn(2, 5, 5, 4, 5)

    def train(rank: Rank) -> list[Tensor]:
        own, model = rank.part(5), ranks[rank.index]
        group = Threads(rank, table)
        synchronise(model, lambda: group)
        found = []
        for step in range(2):
            found.append(model(images[step, own]))
            ((found[-1] - wanted[step, own]) ** 2).sum().backward()
        return found

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(train, [Rank(0, 2), Rank(1, 2)]))
    for step in range(2):
        alone = whole(images[step])
        ((alone - wanted[step]) ** 2).sum().backward()
        torch.testing.assert_close(torch.cat([part[step] for part in parts]), alone)
    for name, parameter in whole.named_parameters():
        grads = [rank.get_parameter(name).grad for rank in ranks]
        total = torch.stack([grad for grad in grads if grad is not None]).sum(0)
        torch.testing.assert_close(total, parameter.grad, rtol=1e-4, atol=1e-3)
    for name, buffer in whole.named_buffers():
        for rank in ranks:
            torch.testing.assert_close(rank.get_buffer(name), buffer)
    for rank in ranks:
        torch.testing.assert_close(rank.eval()(images[0]), whole.eval()(images[0]))


def test_a_rank_alone_may_have_one_image(scenes: Data) -> None:
    """What fits is found before the others are there; together they have more than one value."""
    config = samples.config({"training.batch_size": 2, "model.norm": "sync"})
    state = TrainState(config, scenes, DeviceContext(memory_mb=10_000), 6)
    rank = Rank(1, 2)
    state.expect(rank)
    _find_micro_batch(state, Batches(scenes.train, config, "cpu", rank=rank))
    assert state.micro_batch == 2
    held = weakref.ref(state)
    del state
    assert held() is None, "or connections stay until the collector comes"
