"""What one optimizer step changes: model, optimizer and average, together on a device."""

from math import ceil
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuner.configs import catalog, single_value
from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.training import checkpoint, draws, memory
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext, autocast
from tuner.training.ignore import IGNORE
from tuner.training.network import model
from tuner.training.optimization import rates
from tuner.training.optimization.ema import Average
from tuner.training.optimization.gradients import clip, clip_weights
from tuner.training.optimization.parameters import groups, set_decay, set_rate

_ONE_VALUE = "Expected more than 1 value per channel"  # torch's words


class TrainState:
    """The state of a training run that a checkpoint holds, and the step that moves it.

    `micro_batch` is how many images pass through the network at once; `may_shrink` lets a step
    halve it when memory runs out.
    """

    def __init__(self, config: TrialConfig, data: Data, context: DeviceContext, steps: int) -> None:
        self._config = config
        self._context = context
        self.micro_batch = config.training.micro_batch or config.training.batch_size
        self.may_shrink = False
        self._steps = steps
        self._rate = rates.course(config, steps)
        built = model.build(config, mean=data.train.mean, std=data.train.std, roots=data.roots)
        self.model = built.to(context.device).train()
        if config.training.determinism == "fast":
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = self._build_optimizer()
        self.loss = self._build_loss(data).to(context.device)
        decay = config.training.ema
        self.average = Average(self.model, decay) if decay is not None else None
        if config.training.compile:
            # Static shapes: every batch is whole, and dynamic kernels are slower.
            self.model.compile(dynamic=False)

    @property
    def scored(self) -> model.SegmentationModel:
        """The model that is evaluated and handed over: the average, where there is one."""
        if self.average is None:
            return self.model
        return cast(model.SegmentationModel, self.average.module)

    def follow(self, config: TrialConfig) -> None:
        """Go on with another learning rate and weight decay; all else stays as it was built."""
        self._rate = rates.course(config, self._steps)
        set_decay(self.optimizer.param_groups, config.optimizer.weight_decay)

    def rate(self, step: int) -> float:
        """Learning rate of an optimizer step, counted from 0 over the full budget."""
        return self._rate(step)

    def step(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """One optimizer step; gives the loss. It depends on state, batch and `step` only.

        Raises:
            OutOfMemory: the micro-batch does not fit, halved or not as `may_shrink` says.
            TrainingError: an image passes alone, and batch norm gets one value per channel.
        """
        set_rate(self.optimizer.param_groups, self._rate(step))

        def gradients(size: int) -> Tensor:
            # Dropout is the one consumer of torch's generator, so the position restores it.
            torch.manual_seed(draws.seed_of(self._config.seed, "step", step))
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return self._accumulate(images, labels, size)
            except ValueError as error:
                if _ONE_VALUE not in str(error):
                    raise
                raise TrainingError(self._alone(size)) from error

        loss, self.micro_batch = memory.halving(
            gradients,
            min(self.micro_batch, len(images)),
            least=1 if self.may_shrink else self.micro_batch,
            context=self._context,
            advice=self._advice(),
        )
        clip(self.model, self._config.training)
        self.optimizer.step()
        clip_weights(self.model, self._config.training)
        if self.average is not None:
            self.average.update(self.model, step)
        return loss

    def probe(self, images: Tensor, labels: Tensor) -> None:
        """Make a step and take it back: what stays is a micro-batch that fits."""
        before = self.state_dict()
        try:
            self.step(images, labels, 0)
        finally:
            self.load_state_dict(before)
            self.optimizer.zero_grad(set_to_none=True)

    def _accumulate(self, images: Tensor, labels: Tensor, size: int) -> Tensor:
        """Gradients of the whole batch from parts of at most `size` images; gives the loss.

        Each part counts by its share of the valid pixels, so that a loss that is a mean over
        valid pixels is the batch's own. Of a loss that is not (Dice, Lovász, RMI, OHEM's choice
        of pixels) it is the mean over the parts, each scored by itself.
        """
        count = ceil(len(images) / size)
        if count == 1:
            return self._backward(images, labels, None)
        valid = (labels != IGNORE).sum().clamp(min=1)
        parts = zip(images.tensor_split(count), labels.tensor_split(count), strict=True)
        losses = [self._backward(part, own, (own != IGNORE).sum() / valid) for part, own in parts]
        return torch.stack(losses).sum()

    def _backward(self, images: Tensor, labels: Tensor, share: Tensor | None) -> Tensor:
        with memory.limited(self._context):
            with autocast(self._config.training.determinism, self._context):
                logits, aux = self.model(images)
            loss = self.loss(logits.float(), labels)
            if aux is not None and self._config.model.aux_weight > 0:
                # A loss that mines pixels or scores regions says what an auxiliary output gets.
                aux_loss = getattr(self.loss, "aux", self.loss)
                loss = loss + self._config.model.aux_weight * aux_loss(aux.float(), labels)
            if share is not None:
                loss = loss * share
        loss.backward()
        return cast(Tensor, loss.detach())

    def _alone(self, at_once: int) -> str:
        """What to say where batch norm met one value per channel."""
        config = self._config
        cause = single_value.cause(config.model, config.dataset.size)
        cause = cause or "the network leaves one value per channel of an image"
        why = single_value.single(config.training, at_once) or "an image passes alone"
        remedy = single_value.remedy(cause)
        return f"{why}, and {cause}, from which batch norm cannot learn; {remedy}"

    def _advice(self) -> str:
        if self.may_shrink:
            return "use a smaller model, dataset.size or another device"
        if self._config.training.micro_batch is not None:
            return "training.micro_batch is set, so it is not made smaller; set less, or null"
        return (
            "determinism exact keeps the micro-batch that a trial began with; give it a device "
            "with more memory, or set training.micro_batch"
        )

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, on the CPU, that no later step changes."""
        average = None if self.average is None else self.average.module.state_dict()
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": average,
        }
        return cast(dict[str, Any], checkpoint.copied(state))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])

    def _build_optimizer(self) -> Optimizer:
        settings = self._config.optimizer
        return cast(
            Optimizer,
            catalog.load("optimizer", settings.name).build(
                groups(self.model, self._config),
                rates.peak(self._config),
                settings.weight_decay,
                self._config.training.determinism == "fast",
                **settings.options,
            ),
        )

    def _build_loss(self, data: Data) -> nn.Module:
        settings = self._config.loss
        classes = len(self._config.dataset.classes)
        module = catalog.load("loss", settings.name)
        return cast(nn.Module, module.build(classes, data.shares, **settings.options))
