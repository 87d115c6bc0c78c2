"""Stops a trial whose best value so far is worse than the median of its peers at this epoch.

The rule of Google Vizier (Golovin et al. 2017) as Optuna and others apply it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated

from pydantic import Field

from tuner.search.pruners._contract import Pruner
from tuner.search.pruners._peers import PeerPruner
from tuner.wording import quantity


def build(
    *,
    startup: Annotated[int, Field(ge=1)] = 5,
    warmup: Annotated[int, Field(ge=0)] = 0,
    interval: Annotated[int, Field(ge=1)] = 1,
) -> Pruner:
    """Give the pruner; it judges no trial before `startup` peers have reached the epoch."""
    return Median(startup=startup, warmup=warmup, interval=interval)


@dataclass(frozen=True, kw_only=True)
class Median(PeerPruner):
    """The bar is the median."""

    def bar(self, values: Sequence[float]) -> tuple[float, str]:
        """The median of the peers."""
        return median(values), f"the median of {quantity(len(values), 'trial')}"
