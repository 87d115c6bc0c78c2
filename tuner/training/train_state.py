"""Everything that a training goes on from: network, optimizer, average, loss sum and position."""

import weakref
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from tuner.configs import catalog
from tuner.errors import CheckpointMismatch, Diverged
from tuner.spec.config import TrialConfig
from tuner.spec.messages import BestStep, Report
from tuner.training import checkpoint
from tuner.training.best_epoch import BestEpoch
from tuner.training.checkpoint import Owner, Progress
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.network import model
from tuner.training.optimization import rates
from tuner.training.optimization.ema import Average
from tuner.training.optimization.parameters import groups, groups_of_loss, set_decay
from tuner.training.process_group import ProcessGroup
from tuner.training.ranks import Rank
from tuner.training.synced_norms import synchronise
from tuner.training.teachers import Teachers
from tuner.training.training_pass import TrainingPass


class TrainState:
    """What a checkpoint holds, on its device; `optimizer_step` and the loop move it.

    `micro_batch` is how many images pass through the network at once; `may_shrink` lets a step
    halve it when memory runs out. `progress` is brought up to date by `snapshot`. Among several
    processes each has a state of its own, and all are equal, except for the buffers of the network.
    """

    def __init__(self, config: TrialConfig, data: Data, context: DeviceContext, steps: int) -> None:
        """`steps` are the optimizer steps of the full budget, over which the schedule runs."""
        self.config = config
        self.context = context
        self.owner = Owner(config, data.fingerprint)
        self.micro_batch = config.training.micro_batch or config.training.batch_size
        self.may_shrink = False
        self._steps = steps
        self._rate = rates.by_step(config, steps)
        built = model.build(config, mean=data.train.mean, std=data.train.std, roots=data.roots)
        self.model = built.to(context.device).train()
        if config.training.determinism == "fast":
            self.model = self.model.to(memory_format=torch.channels_last)
        self.loss = self._build_loss(data)
        self.teachers = Teachers(self.loss, config, roots=data.roots, channels=built.channels)
        self.teachers.meet(self.loss, self.model)
        self.loss = self.loss.to(context.device)
        self.optimizer = self._build_optimizer()
        decay = config.training.ema
        self.average = Average(self.model, decay) if decay is not None else None
        self.teachers.attend(self.model, context)
        if config.training.compile:
            # Static shapes: every batch is whole, and dynamic kernels are slower.
            self.model.compile(dynamic=False)
        self.group = ProcessGroup()
        self._pass = TrainingPass(
            self.model, self.loss, self.teachers, config=config, context=context
        )
        self.training_pass: nn.Module = self._pass
        by = config.best_by
        self.best = BestEpoch(by, config.dataset.classes) if by is not None else None
        self.progress = Progress()
        # Summed in float64, where the device has it, so that a cut in the epoch changes no bit.
        place = context.device if context.is_cuda else "cpu"
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=place)
        self._bad_step = torch.full((), -1, device=place)

    @property
    def scored(self) -> model.SegmentationModel:
        """The model that is evaluated and saved: the average, where there is one."""
        if self.average is None:
            return self.model
        return cast(model.SegmentationModel, self.average.module)

    def expect(self, rank: Rank) -> None:
        """Be one of so many processes, which are not there yet; before anything is computed."""
        if self.config.model.norm == "sync" and rank.count > 1:
            own = weakref.proxy(self)  # DDP in a cycle would keep its connections
            synchronise(self.model, lambda: own.group)

    def join(self, group: ProcessGroup) -> None:
        """Learn from the gradients of the whole group from now on, with every rank's parts."""
        self.group = group
        if not group.rank.is_first:
            self.best = None  # rank 0 writes the model
        self.micro_batch = group.least(self.micro_batch)
        self.training_pass = group.wrapped(self._pass)

    def apart(self) -> AbstractContextManager[object]:
        """Let gradients add up in this process alone, until a backward pass outside of it."""
        wrapped = self.training_pass
        if isinstance(wrapped, DistributedDataParallel):
            return wrapped.no_sync()
        return nullcontext()

    def follow(self, config: TrialConfig) -> None:
        """Go on with another learning rate and weight decay; all else stays as it was built."""
        self._rate = rates.by_step(config, self._steps)
        set_decay(self.optimizer.param_groups, config.optimizer.weight_decay)

    def rate(self, step: int) -> float:
        """Learning rate of an optimizer step, counted from 0 over the full budget."""
        return self._rate(step)

    def add_loss(self, loss: Tensor, step: int) -> None:
        """Count the loss of optimizer step `step`, without a look at the device."""
        self.loss_sum += loss.to(self.loss_sum.device)
        is_first_bad = (self._bad_step < 0) & ~self.loss_sum.isfinite()
        self._bad_step = torch.where(is_first_bad, step, self._bad_step)

    def mean_loss(self, step: int) -> float:
        """Mean over the epoch's batches so far, the last of which was optimizer step `step`.

        It waits for the device. Raises Diverged where the loss is not finite.
        """
        total = float(self.loss_sum)
        if not isfinite(total):
            step = int(self._bad_step)  # the loss is not asked for after every step
            raise Diverged(
                f"the training loss is {total} since optimizer step {step} (epoch "
                f"{self.progress.epoch}) with learning rate {self.rate(step):.3g}; "
                "a smaller optimizer.lr or a longer schedule.warmup may help"
            )
        return total / self.progress.cursor

    def expect_best(self, reported: BestStep | None, *, after: int) -> None:
        """Keep the weights of the best step that was reported, if it is yet to come again.

        Raises:
            TrainingError: it is not, and the checkpoint does not have them.
        """
        if self.best is not None:
            self.best.expect(reported, after=after)

    def close_epoch(self, step: int, seconds: float, report: Report | None) -> Report | None:
        """Go on to the next epoch, with the weights of this one kept if it is the best so far.

        Gives the report of the epoch, which came to `step`, with the time since the last.
        """
        if self.best is not None:
            self.best.look(step, report, self.scored)
        self.loss_sum.zero_()
        return self.progress.close_epoch(seconds, report)

    def snapshot(self) -> tuple[Progress, dict[str, Any]]:
        """Position and tensors of this moment, as a checkpoint holds them."""
        self.progress.loss_sum = float(self.loss_sum)
        self.progress.micro_batch = self.micro_batch
        best = {} if self.best is None else {"best": self.best.state_dict()}
        return self.progress, self.state_dict() | best

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, with its position and its micro-batch.

        Raises:
            DataChanged, CheckpointMismatch: it belongs to other data, another config or format.
            TrainingError: it cannot be read.
        """
        self.progress, tensors = checkpoint.load(path, self.owner)
        if tensors.get("teachers", {}) != dict(self.teachers.digests):
            raise CheckpointMismatch(
                f"checkpoint {path.name} was trained with another teacher under the same name; "
                "bring that file back, or start without the checkpoint"
            )
        self.load_state_dict(tensors)
        if self.best is not None:
            self.best.load_state_dict(tensors.get("best", {}))
        self.micro_batch = self.progress.micro_batch or self.config.training.batch_size
        self.loss_sum.fill_(self.progress.loss_sum)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, on the CPU, that no later step changes."""
        average = None if self.average is None else self.average.module.state_dict()
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": average,
        }
        if self.teachers.digests:
            state |= {"loss": self.loss.state_dict(), "teachers": dict(self.teachers.digests)}
        return cast(dict[str, Any], checkpoint.copied(state))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        if "loss" in state:
            self.loss.load_state_dict(state["loss"])

    def _build_optimizer(self) -> Optimizer:
        settings = self.config.optimizer
        return cast(
            Optimizer,
            catalog.load("optimizer", settings.name).build(
                [*groups(self.model, self.config), *groups_of_loss(self.loss)],
                rates.peak(self.config),
                settings.weight_decay,
                self.config.training.determinism == "fast",
                **settings.options,
            ),
        )

    def _build_loss(self, data: Data) -> nn.Module:
        settings = self.config.loss
        classes = len(self.config.dataset.classes)
        module = catalog.load("loss", settings.name)
        return cast(nn.Module, module.build(classes, data.shares, **settings.options))
