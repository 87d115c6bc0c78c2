"""A teacher on a GPU: exact lessons repeat bit for bit, fast ones are in bf16."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.runs import Run, config, differing
from tests.training.samples import timeless
from tuner.spec.config import LossConfig, TrialConfig
from tuner.spec.messages import OutcomeKind
from tuner.training.data.load import Data

TERMS: list[dict[str, Any]] = [
    {"name": "cross_entropy", "weight": 1.0},
    {"name": "distill", "weight": 0.5, "teacher": "model.pt"},
    {"name": "distill", "weight": 0.5, "teacher": "model.pt", "kind": "channel"},
    {"name": "distill_features", "weight": 0.1, "teacher": "model.pt", "stages": 2},
]


def taught(params: dict[str, Any]) -> TrialConfig:
    """The config of these tests with a teacher's terms."""
    return config(params).model_copy(update={"loss": LossConfig(name="sum", terms=TERMS)})


@pytest.fixture
def lessons(device: str, scenes: Data, tmp_path: Path) -> Data:
    """Give the scenes with a teacher below an allowed root."""
    Run(scenes, tmp_path / "teacher", device)
    return replace(scenes, roots=(tmp_path / "teacher",))


def test_exact_lessons_repeat_bit_for_bit(device: str, lessons: Data, tmp_path: Path) -> None:
    """No kernel of a lesson adds in an order of its own."""
    chosen = taught({"training.epochs": 1})
    first, second = (Run(lessons, tmp_path / name, device, chosen) for name in ("a", "b"))

    assert timeless(first.reports) == timeless(second.reports)
    assert differing(first.weights, second.weights) == []


def test_fast_lessons_are_taken_in_half_precision(
    device: str, lessons: Data, tmp_path: Path
) -> None:
    """Features come in bf16 and are compared in float32."""
    chosen = taught({"training.epochs": 1, "training.determinism": "fast"})

    assert Run(lessons, tmp_path / "run", device, chosen).outcome.kind is OutcomeKind.COMPLETED
