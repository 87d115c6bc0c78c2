"""What a study has taught, as numbers: importance, interactions, the best tenth, and failures."""

from typing import Any

from pydantic import Field

from tuner.spec.config import Section
from tuner.spec.study import Objective


class ParamImportance(Section):
    """A param's share in reaching the best tenth of trials (PED-ANOVA), and how sure that is."""

    path: str
    share: float
    low: float = Field(description="5th percentile of the share over resampled trials")
    high: float = Field(description="95th percentile")
    leading: float = Field(description="Share of resamples in which no other param had more")


class InteractionCell(Section):
    """Trials with one level of each of two params."""

    levels: tuple[str, str]
    trials: int
    mean: float = Field(description="Of the first objective")


class Interaction(Section):
    """Two params of which one's effect depends on the other."""

    paths: tuple[str, str]
    effect: float = Field(
        description="Share of the variance of ranks that the two make together, beyond each alone"
    )
    p_value: float = Field(
        description="Chance of so strong a pair where none interacts: by permutation, corrected "
        "for the number of pairs"
    )
    cells: tuple[InteractionCell, ...]


class Trait(Section):
    """What chosen trials have in common against the others, for one param.

    A range for numbers (`low`, `high`), a value for choices. Trials in which the param is switched
    off are not counted.
    """

    path: str
    low: float | None = None
    high: float | None = None
    value: Any = None
    chosen_in: int = Field(description="Chosen trials with the value, or within the range")
    chosen: int = Field(description="Chosen trials that have the param")
    others_in: int
    others: int
    effect: float = Field(
        description="Largest gap between the distributions; of a choice: difference of its shares"
    )
    p_value: float = Field(description="Kolmogorov-Smirnov, or Fisher's exact test")
    q_value: float = Field(description="Corrected for the number of params (Benjamini-Hochberg)")


class BestTenth(Section):
    """The best tenth of the compared trials, at least three, and what they have in common."""

    trials: tuple[int, ...] = Field(description="Numbers, the best first")
    worst: tuple[float, ...] = Field(description="The worst value of each objective among them")
    others: int
    traits: tuple[Trait, ...] = Field(description="One for each param, the clearest first")


class FailureGroup(Section):
    """Trials that ended alike: failed with one error, or completed and broke one constraint."""

    kind: str = Field(description="An error kind, or `constraint`")
    text: str
    trials: tuple[int, ...] = Field(description="Numbers")
    shared: dict[str, Any] = Field(
        default_factory=dict, description="Params that have one value in all of these trials"
    )
    traits: tuple[Trait, ...] = Field(description="Against all trials that did not end so")


class ExplanationView(Section):
    """What mattered in a study: everything rests on the trials that it names."""

    study: str
    objectives: tuple[Objective, ...]
    epoch: int = Field(
        description="Trials are compared by their values at this epoch; 0: at each one's last"
    )
    trials: int = Field(description="Trials that are compared")
    ended: int = Field(description="Trials that have ended and were looked at for failures")
    resamples: int
    importance: tuple[ParamImportance, ...]
    pairs: int = Field(description="Pairs of params with enough trials to look at")
    interactions: tuple[Interaction, ...] = Field(description="The strongest first")
    best: BestTenth | None = None
    failures: tuple[FailureGroup, ...] = Field(description="The most frequent first")
