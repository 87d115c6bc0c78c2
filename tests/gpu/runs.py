"""Short trainings on a GPU, and what they leave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.training import samples
from tuner.configs.resolve import resolve
from tuner.spec.config import Recipe, TrialConfig
from tuner.spec.messages import Outcome, Report, Verdict
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.session import Session
from tuner.training.train import MODEL, train

_BASE = Recipe.model_validate(
    {
        "model": {"decoder": "deeplabv3plus", "encoder": "resnet18"},
        "optimizer": {"name": "sgd", "lr": 0.01},
        "augment": {"flip": 0.5, "scale": [0.5, 2.0], "rotate": 10, "colour": 0.4},
        "training": {"epochs": 2, "batch_size": 4, "ema": 0.9},
    }
)
_DATASET = samples.synthetic(size=(96, 128), train=16, val=4)


def config(params: Mapping[str, Any] | None = None) -> TrialConfig:
    """Two epochs of four steps, with everything random switched on."""
    return resolve(_BASE, _DATASET, params or {})


CONFIG = config()


class Run(Session):
    """One training: its outcome, its reports, its weights."""

    def __init__(
        self, data: Data, folder: Path, device: str, chosen: TrialConfig = CONFIG, **options: Any
    ) -> None:
        self.folder = folder
        self.reports: list[Report] = []
        if "should_yield" in options:
            self.should_yield = options.pop("should_yield")  # type: ignore[method-assign]
        context = DeviceContext(device=device, cache=options.pop("cache", None))
        self.outcome: Outcome = train(chosen, data, self, folder=folder, context=context, **options)

    def report(self, report: Report) -> Verdict:
        """Keep it, and go on."""
        self.reports.append(report)
        return Verdict()

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The tensors that it left, on the CPU."""
        loaded = torch.load(self.folder / MODEL, weights_only=True, map_location="cpu")
        state: dict[str, torch.Tensor] = loaded["model"]
        return state

    @property
    def losses(self) -> list[float]:
        """Mean training loss of each epoch."""
        return [report.metrics["train_loss"] for report in self.reports]


def differing(left: Mapping[str, torch.Tensor], right: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that are not equal bit for bit."""
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]
