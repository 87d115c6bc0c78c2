"""Where trials come from: every trial has one source, every copy one beginning."""

import re
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from api.dashboard import assets
from api.dashboard.charts.sources import STRETCHES, root, source_rows, sources_data
from tuner.service.charts.sources import Branch, Sources
from tuner.spec.sources import SourceView
from tuner.spec.states import TrialSource
from tuner.spec.study import Objective
from tuner.store.chart_rows import TrialOutline


def sources(drawn: Sequence[TrialSource], branches: Sequence[Branch] = ()) -> Sources:
    """Completed trials of these sources, each better than the one before."""
    trials = tuple(
        TrialOutline(number, "completed", source, 10, 10, 60.0, number / 1000, True, None)
        for number, source in enumerate(drawn)
    )
    return Sources(Objective(metric="miou"), trials, tuple(branches), {})


@given(st.lists(st.sampled_from(list(TrialSource)), max_size=200))
def test_every_trial_has_one_source(drawn: list[TrialSource]) -> None:
    """In the table and in the chart; shares add up to 1."""
    found = sources(drawn)
    rows, data = source_rows(found), sources_data(found)
    assert sum(row.trials for row in rows) == len(drawn)
    assert sum(map(sum, data.counts.values())) == len(drawn)
    assert len(data.edges) <= STRETCHES
    assert not rows or abs(sum(row.share for row in rows) - 1) < 1e-9


def test_the_best_of_a_source_is_its_own() -> None:
    """A trial of another source never counts for it."""
    rows = source_rows(sources([TrialSource.BASE, TrialSource.SAMPLER, TrialSource.SAMPLER]))
    assert [(row.source, row.best_trial) for row in rows] == [("base", 0), ("sampler", 2)]


def test_samplers_that_share_the_draws_stand_by_themselves() -> None:
    """Each with what it has earned, also the one that has drawn nothing yet."""
    found = sources([TrialSource.BASE, *[TrialSource.SAMPLER] * 3])
    names = (None, "random", "gp", "gp")
    trials = [one._replace(drawn_by=name) for one, name in zip(found.trials, names, strict=True)]
    earning = [
        SourceView(source=name, trials=0, results=0, among_best=0, credit=1.0, share=share)
        for name, share in (("gp", 0.6), ("random", 0.1), ("rung_tpe", 0.3))
    ]
    found = replace(found, trials=tuple(trials), earning=tuple(earning))
    rows = source_rows(found)
    shown = [(row.source, row.trials, row.earned and row.earned.share) for row in rows]
    assert shown == [("base", 1, None), ("gp", 2, 0.6), ("random", 1, 0.1), ("rung_tpe", 0, 0.3)]
    assert list(sources_data(found).counts) == ["base", "gp", "random"]


def test_a_line_of_copies_has_one_beginning() -> None:
    """However long it is; a damaged one that is a circle ends."""
    assert root({3: 2, 2: 1, 1: 0}, 3) == 0
    assert root({3: 2, 2: 3}, 3) in {2, 3}
    drawn = [TrialSource.SAMPLER, TrialSource.COPY, TrialSource.COPY]
    data = sources_data(sources(drawn, [Branch(1, 0, 5, 0.3), Branch(2, 1, 8, 0.4)]))
    assert [(link.trial, link.parent, link.root) for link in data.links] == [(1, 0, 0), (2, 1, 0)]
    assert [link.trial for link in data.roots] == [0]


def test_sources_of_one_study_have_colours_of_their_own() -> None:
    """The same in the table as in the chart. Populations, which copy, have one sampler."""
    script = (assets.FOLDER / "charts" / "sources.js").read_text(encoding="utf-8")
    style = (assets.FOLDER / "charts.css").read_text(encoding="utf-8")
    chart = dict(re.findall(r'(\w+): "(text|faint|hue\d)"', script))
    table = dict(re.findall(r"\.s-(\w+) \{ --tone: var\(--(\w+)\); \}", style))
    assert table == chart
    del chart["copy"]
    assert len(set(chart.values())) == len(chart)
