"""Loop state on disk: written beside its place, then renamed; the one before is kept.

A checkpoint belongs to one config and one version of the data: another one's is refused.
"""

import logging
import os
import pickle
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from tuner.errors import CheckpointMismatch, TrainingError
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Report

_logger = logging.getLogger(__name__)
_FORMAT = 1
NAME = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"


@dataclass
class Progress:
    """Position in a run: `epoch` is the one under way, from 1; `cursor` its finished steps."""

    epoch: int = 1
    cursor: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    reports: list[Report] = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last finished epoch."""
        return self.epoch - 1


def digest(config: TrialConfig, fingerprint: str) -> str:
    """What a checkpoint must share with the run that takes it up."""
    return sha256(f"{config.model_dump_json()}/{fingerprint}".encode()).hexdigest()


def save(folder: Path, owner: str, progress: Progress, state: dict[str, Any]) -> Path:
    """Write a checkpoint and give its path."""
    path, part = folder / NAME, folder / f"{NAME}.part"
    body = {
        "format": _FORMAT,
        "owner": owner,
        "epoch": progress.epoch,
        "cursor": progress.cursor,
        "loss_sum": progress.loss_sum,
        "seconds": progress.seconds,
        "reports": [report.model_dump_json() for report in progress.reports],
        "state": state,
    }
    with part.open("wb") as file:
        torch.save(body, file)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        path.replace(folder / PREVIOUS)
    part.replace(path)
    _logger.info("checkpoint at epoch %d, step %d", progress.epoch, progress.cursor)
    return path


def load(path: Path, owner: str) -> tuple[Progress, dict[str, Any]]:
    """Progress and state; a damaged file is replaced by the one before it, where that is there.

    Raises:
        CheckpointMismatch: it belongs to another config, data version or format.
        TrainingError: it cannot be read.
    """
    try:
        body = _read(path)
    except TrainingError:
        previous = path.with_name(PREVIOUS)
        if path.name == PREVIOUS or not previous.exists():
            raise
        _logger.warning("checkpoint %s is damaged; going back to the one before", path.name)
        body = _read(previous)
    if body.get("format") != _FORMAT:
        raise CheckpointMismatch(
            f"checkpoint {path.name} has format {body.get('format')}; this version reads {_FORMAT}"
        )
    if body["owner"] != owner:
        raise CheckpointMismatch(
            f"checkpoint {path.name} belongs to another config or another version of the data; "
            "resume it with the config that wrote it, or start without it"
        )
    progress = Progress(
        epoch=body["epoch"],
        cursor=body["cursor"],
        loss_sum=body["loss_sum"],
        seconds=body["seconds"],
        reports=[Report.model_validate_json(report) for report in body["reports"]],
    )
    return progress, body["state"]


def _read(path: Path) -> dict[str, Any]:
    try:
        body = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(f"checkpoint {path.name} cannot be read: {error}") from error
    if not isinstance(body, dict):
        raise TrainingError(f"checkpoint {path.name} is not a checkpoint of segtune")
    return body
