"""What a sampler may do besides drawing."""

from typing import Protocol

from tuner.search.pruners._contract import Pruner


class JudgingSampler(Protocol):
    """A sampler that decides itself which trials go on; its file says `JUDGES = True`."""

    @property
    def pruner(self) -> Pruner:
        """The pruner that belongs to it."""
