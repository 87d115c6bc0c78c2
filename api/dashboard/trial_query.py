"""What of a trial is asked for, as its page's address says it; pure."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

View = Literal["overview", "scores", "classes", "speed"]
Across = Literal["epochs", "images", "time"]
Shares = Literal["recall", "precision", "counts"]
VIEWS: tuple[View, ...] = get_args(View)
ACROSS: tuple[Across, ...] = get_args(Across)
SHARES: tuple[Shares, ...] = get_args(Shares)


@dataclass(frozen=True, slots=True)
class TrialChoice:
    """Which curves, over what, how smooth; and of what the confusion matrix gives shares.

    `metrics` are chosen by hand; without any it is a `view` of them. `attempt` is the one whose
    log is shown, the last for None; `image` and `epoch` say which predictions, None: the first
    image, the last epoch.
    """

    view: View = "overview"
    metrics: tuple[str, ...] = ()
    axis: Across = "epochs"
    smooth: float = 0.0
    matrix: Shares = "recall"
    attempt: int | None = None
    image: int | None = None
    epoch: int | None = None

    def but(self, **changes: Any) -> "TrialChoice":
        """The same with other values."""
        return replace(self, **changes)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Name and value of each part that is not as usual."""
        usual = TrialChoice()
        found = [("metric", name) for name in self.metrics]
        for name in ("view", "axis", "smooth", "matrix", "attempt", "image", "epoch"):
            value = getattr(self, name)
            if value != getattr(usual, name):
                found.append((name, f"{value:g}" if isinstance(value, float) else str(value)))
        return found

    @property
    def text(self) -> str:
        """The address's query with its question mark; empty where all is as usual."""
        return f"?{urlencode(self.pairs)}" if self.pairs else ""
