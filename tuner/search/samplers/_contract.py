"""What a sampler may do besides drawing."""

from collections.abc import Mapping
from typing import Protocol

from optuna.study import Study

from tuner.search.credit import Earnings
from tuner.search.pruners._contract import Pruner


class JudgingSampler(Protocol):
    """A sampler that decides itself which trials go on; its file says `JUDGES = True`."""

    @property
    def pruner(self) -> Pruner:
        """The pruner that belongs to it."""


class Portfolio(Protocol):
    """A sampler that lets several others draw; its file says `PORTFOLIO = True`."""

    def be_quick(self) -> None:
        """Let none of the slow ones draw from now on."""

    def earnings(self, study: Study) -> Mapping[str, Earnings]:
        """What each of them has earned, by name; also what other sources have, without a share."""
