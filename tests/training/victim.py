"""A process that trains until it is killed: `python -m tests.training.victim CACHE FOLDER`.

It says `step` after every optimizer step and every batch scored, waits for a line before it goes
on, and begins with the folder's checkpoint.
"""

import sys
from pathlib import Path

from tests.contracts.strengths import EXAMPLES
from tests.training import samples
from tuner.spec.config import DirectedMetric, TrialConfig
from tuner.spec.messages import Outcome
from tuner.training import checkpoint
from tuner.training.data.load import load
from tuner.training.determinism import DeviceContext
from tuner.training.session import Session
from tuner.training.train import train


def config() -> TrialConfig:
    """All that is random or has a memory: dropout, average, freezing, clipping, augmentations, and
    the epoch with the highest rate, which is the third, as the best.
    """
    augmentations = {f"augment.{name}": strength for name, strength in EXAMPLES.items()}
    found = samples.config(
        {
            **augmentations,
            "optimizer.name": "adamw",
            "optimizer.decay_norm": False,
            "model.dropout": 0.3,
            "model.freeze_epochs": 2,
            "model.encoder_lr": 0.5,
            "training.micro_batch": 2,
            "training.batch_size": 4,
            "training.clip_norm": 1.0,
            "training.clip_value": 0.5,
            "training.clip_weights": 2.0,
            "training.epochs": 5,
            "schedule.warmup": 0.5,
        }
    )
    return found.model_copy(update={"best_by": DirectedMetric(metric="lr")})


class Waiting(Session):
    """Says that a step is done, and goes on when told."""

    def heartbeat(self) -> None:
        """Wait for a line."""
        sys.stdout.write("step\n")
        sys.stdout.flush()
        sys.stdin.readline()


def go(cache: Path, folder: Path, session: Session | None = None) -> Outcome:
    """Train from the folder's checkpoint, if it has one, to the end."""
    resume = folder / checkpoint.NAME

    return train(
        config(),
        load(config().dataset, cache=cache),
        session or Session(),
        folder=folder,
        resume=resume if resume.exists() else None,
        context=DeviceContext(threads=1),
    )


if __name__ == "__main__":
    go(Path(sys.argv[1]), Path(sys.argv[2]), Waiting())
