"""What drew the trials of a study, and what each of these sources has earned."""

from pydantic import Field

from tuner.spec.config import Section

DRAWN_BY = "drawn_by"  # the sampler's attribute of a trial that says which of several drew it


class SourceView(Section):
    """A sampler of a portfolio, or what draws beside it: the prior, an earlier study."""

    source: str = Field(description="A sampler's name, `prior` or `warm`")
    trials: int = Field(description="Trials that it drew")
    results: int = Field(description="Of its latest trials, those that have reported")
    among_best: int = Field(
        description="Of these, how many were among the best tenth of all trials before them"
    )
    credit: float = Field(
        description="Mean of the latest: doublings of the trials as good, up to all before it"
    )
    share: float = Field(description="Share of the draws to come that it makes")
