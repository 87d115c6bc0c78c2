"""Where trials come from: shares of the draws by source over time, and a population's lineage."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, isfinite

from api.dashboard.charts.sample import short
from tuner.service.charts.sources import Sources
from tuner.spec.sources import SourceView
from tuner.spec.states import TrialSource, TrialState

STRETCHES = 24
ORDER = tuple(str(source) for source in TrialSource)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source: its trials, how many completed, the best of these, and what it has earned."""

    source: str
    trials: int
    share: float
    completed: int
    best: float | None
    best_trial: int | None
    earned: SourceView | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A copy between where it went on from its parent and where it is now; `root` began it all."""

    trial: int
    parent: int
    root: int
    start: int
    end: int
    low: float | None
    high: float | None
    state: str


@dataclass(frozen=True, slots=True)
class SourcesData:
    """Trials by source in stretches of their numbers, and the lineage of copies."""

    metric: str
    edges: tuple[int, ...]
    counts: Mapping[str, tuple[int, ...]]
    links: tuple[Link, ...]
    roots: tuple[Link, ...]


def source_rows(found: Sources) -> tuple[SourceRow, ...]:
    """A row for each source that there is, or that has a share of the draws to come.

    None before there are trials.
    """
    if not found.trials:
        return ()
    rows, earning = list[SourceRow](), {each.source: each for each in found.earning}
    for source in _present(found, earning):
        own = [one for one in found.trials if one.origin == source]
        done = [
            one
            for one in own
            if one.state == TrialState.COMPLETED
            and one.feasible
            and one.value is not None
            and isfinite(one.value)
        ]
        best = min(done, key=lambda one: found.objective.key(one.value or 0.0), default=None)
        rows.append(
            SourceRow(
                source,
                len(own),
                len(own) / len(found.trials),
                len(done),
                best.value if best else None,
                best.number if best else None,
                earning.get(source),
            )
        )
    return tuple(rows)


def _present(found: Sources, others: Iterable[str] = ()) -> list[str]:
    """The sources that there are, a sampler's last."""
    names = {*(one.origin for one in found.trials), *others}
    return [*(name for name in ORDER if name in names), *sorted(names - set(ORDER))]


def sources_data(found: Sources) -> SourcesData:
    """Sources for a script: what drew the first trials, what the next, and so on."""
    size = max(1, ceil(len(found.trials) / STRETCHES))
    stretches = [found.trials[start : start + size] for start in range(0, len(found.trials), size)]
    counted = [Counter(one.origin for one in stretch) for stretch in stretches]
    links = lineage(found)
    shown = {link.root for link in links}
    return SourcesData(
        metric=found.objective.metric,
        edges=tuple(stretch[0].number for stretch in stretches),
        counts={source: tuple(one[source] for one in counted) for source in _present(found)},
        links=links,
        roots=tuple(
            Link(one.number, one.number, one.number, 0, one.step, None, short(one.value), one.state)
            for one in found.trials
            if one.number in shown
        ),
    )


def lineage(found: Sources) -> tuple[Link, ...]:
    """Every copy with the trial that its line of copies began with."""
    parents = {branch.trial: branch.parent for branch in found.branches}
    trials = {one.number: one for one in found.trials}
    return tuple(
        Link(
            trial=branch.trial,
            parent=branch.parent,
            root=root(parents, branch.trial),
            start=branch.step,
            end=trials[branch.trial].step,
            low=short(branch.value),
            high=short(trials[branch.trial].value),
            state=trials[branch.trial].state,
        )
        for branch in found.branches
    )


def root(parents: Mapping[int, int], trial: int) -> int:
    """The first of a line of copies; a damaged one that is a circle ends where it closes."""
    seen: set[int] = set()
    while trial in parents and trial not in seen:
        seen.add(trial)
        trial = parents[trial]
    return trial
