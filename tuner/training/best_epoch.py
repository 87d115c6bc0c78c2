"""The best epoch of a training so far, with its weights: they become the model.

The weights lie in the checkpoint beside those that go on being trained, and not in a file of their
own. So one file, whole or not there, says at which epoch the training stands and which was its
best, on whatever machine it goes on.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from tuner.errors import TrainingError
from tuner.spec.config import DirectedMetric
from tuner.spec.counting import replaces
from tuner.spec.messages import BestStep, Report
from tuner.spec.metrics import named
from tuner.training import checkpoint

logger = logging.getLogger(__name__)


class BestEpoch:
    """What is known of the best epoch: its step and value, and on the CPU the weights of it.

    Weights are missing of a step that was reported by an attempt whose later checkpoints are lost:
    they are kept when the training comes to that step again.
    """

    def __init__(self, by: DirectedMetric, classes: Sequence[str]) -> None:
        self._by, self._classes = by, classes
        self._known: BestStep | None = None
        self._weights: dict[str, Tensor] | None = None

    @property
    def step(self) -> int | None:
        """The step whose weights it has."""
        return None if self._known is None or self._weights is None else self._known.step

    def expect(self, reported: BestStep | None, *, after: int) -> None:
        """Look for the best step that was reported, if it is to be trained again after `after`.

        Raises:
            TrainingError: it is not, and the checkpoint of step `after` does not have its weights.
        """
        if reported is None:
            return
        if reported.step > after:
            self._known, self._weights = reported, None
        elif self._weights is None:
            raise _lost(reported)

    def look(self, step: int, report: Report | None, network: nn.Module) -> None:
        """Keep the weights of a network that has come to a step, if it is the best.

        `report` is None where it was not scored, because it was reported before: then the one that
        was the best is so again. Of equal ones the earlier stays; one without a value is never it.
        """
        if report is None:
            if self._weights is None and self._known is not None and self._known.step == step:
                self._weights = checkpoint.copied(network.state_dict())
            return
        metric = self._by.metric
        value = named([metric], report.metrics, report.confusion, self._classes).get(metric)
        known = None if self._known is None else self._known.value
        if value is not None and replaces(self._by, value, known):
            self._known = BestStep(step=report.step, value=value)
            self._weights = checkpoint.copied(network.state_dict())

    def restore(self, network: nn.Module) -> None:
        """Give a network the weights of the best epoch; where none had a value, it stays.

        Raises:
            TrainingError: one had, and its weights are missing.
        """
        if self._weights is None:
            if self._known is not None:
                raise _lost(self._known)
            logger.warning("no epoch has a value of %s: the model is the last's", self._by.metric)
            return
        network.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; nothing here changes its tensors later."""
        if self._known is None:
            return {}
        return {**self._known.model_dump(), "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        if state:
            self._known = BestStep(step=state["step"], value=state["value"])
            self._weights = state["weights"]


def _lost(best: BestStep) -> TrainingError:
    return TrainingError(
        f"step {best.step} is the best with {best.value:.4g}, and no checkpoint has its weights; "
        "train its config from the start"
    )
