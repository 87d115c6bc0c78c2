"""Epochs as the steps that they are reported as."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochSteps:
    """Which epochs are reported as which steps; those up to `last` were reported before."""

    epochs: int
    steps: int
    last: int

    @property
    def is_part(self) -> bool:
        """Whether the training stands for less than a whole one."""
        return self.steps < self.epochs

    def step(self, epoch: int) -> int:
        """The last step that is full after an epoch."""
        return epoch * self.steps // self.epochs

    def completes_step(self, epoch: int) -> bool:
        """Whether a new step is full with the epoch."""
        return self.step(epoch) > max(self.step(epoch - 1), self.last)
