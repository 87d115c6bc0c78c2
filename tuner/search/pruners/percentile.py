"""Stops a trial whose best value so far is outside the better part of its peers at this epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from tuner.search.pruners._contract import Pruner
from tuner.search.pruners._peers import PeerPruner
from tuner.spec import shares
from tuner.wording import quantity


def build(
    *,
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    startup: Annotated[int, Field(ge=1)] = 5,
    warmup: Annotated[int, Field(ge=0)] = 0,
    interval: Annotated[int, Field(ge=1)] = 1,
) -> Pruner:
    """Give the pruner that lets a trial go on among the best `keep` of its peers."""
    return Percentile(keep=keep, startup=startup, warmup=warmup, interval=interval)


@dataclass(frozen=True, kw_only=True)
class Percentile(PeerPruner):
    """The bar is the last of the best `keep`."""

    keep: float

    def bar(self, values: Sequence[float]) -> tuple[float, str]:
        """The worst value among the best `keep` of the peers."""
        last = values[shares.at_least(self.keep, len(values)) - 1]
        return last, f"the best {self.keep:.0%} of {quantity(len(values), 'trial')}"
