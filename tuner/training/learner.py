"""What one optimizer step changes: model, optimizer and average, together on a device."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuner import catalog
from tuner.spec.config import TrialConfig
from tuner.training import draws, model, rates
from tuner.training.data import Data
from tuner.training.determinism import Machine, autocast
from tuner.training.ema import Average


class Learner:
    """The state of a training run that a checkpoint holds, and the step that moves it."""

    def __init__(self, config: TrialConfig, data: Data, machine: Machine, steps: int) -> None:
        self._config = config
        self._machine = machine
        self._rate = rates.course(config, steps)
        built = model.build(config, mean=data.train.mean, std=data.train.std, roots=data.roots)
        self.model = built.to(machine.device).train()
        if config.training.determinism == "fast" and machine.is_cuda:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = self._build_optimizer()
        self.loss = self._build_loss(data).to(machine.device)
        decay = config.training.ema
        self.average = Average(self.model, decay) if decay is not None else None

    @property
    def scored(self) -> model.Segmenter:
        """The model that is evaluated and handed over: the average, where there is one."""
        return self.model if self.average is None else cast(model.Segmenter, self.average.module)

    def rate(self, step: int) -> float:
        """Learning rate of an optimizer step, counted from 0 over the full budget."""
        return self._rate(step)

    def step(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """One optimizer step; gives the loss. It depends on state, batch and `step` only."""
        # Dropout is the one consumer of torch's generator, so the position restores it.
        torch.manual_seed(draws.seed_of(self._config.seed, "step", step))
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self._config.training.determinism, self._machine):
            logits, aux = self.model(images)
        loss = self.loss(logits.float(), labels)
        if aux is not None and self._config.model.aux_weight > 0:
            loss = loss + self._config.model.aux_weight * self.loss(aux.float(), labels)
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model, step)
        return cast(Tensor, loss.detach())

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, as `torch.load(weights_only=True)` gives them back."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])

    def _build_optimizer(self) -> Optimizer:
        settings = self._config.optimizer
        return cast(
            Optimizer,
            catalog.load("optimizer", settings.name).build(
                self.model.parameters(),
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
