"""The timeline of attempts: whatever is joined, no time is lost or made up."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.charts.timeline import KINDS, Bar, fold_timeline, merged, timeline_data
from tuner.spec.messages import OutcomeKind
from tuner.store.chart_rows import AttemptRow

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OUTCOMES = [None, *OutcomeKind]
ATTEMPTS = st.lists(
    st.tuples(
        st.integers(0, 6), st.integers(0, 3000), st.integers(0, 600), st.sampled_from(OUTCOMES)
    ),
    max_size=120,
)


def rows(drawn: Sequence[tuple[int, int, int, str | None]]) -> list[AttemptRow]:
    """Attempts of these workers, beginnings, lengths and outcomes."""
    return [
        AttemptRow(
            trial=trial,
            number=1,
            worker=f"gpu-{worker}",
            started_at=NOON + timedelta(seconds=start),
            ended_at=None if outcome is None else NOON + timedelta(seconds=start + length),
            outcome=outcome,
            error_kind=None,
        )
        for trial, (worker, start, length, outcome) in enumerate(drawn)
    ]


@given(ATTEMPTS)
def test_every_attempt_counts_once(drawn: list[tuple[int, int, int, str | None]]) -> None:
    """In the totals of its kind and of its worker, however many bars are drawn."""
    found = fold_timeline(rows(drawn), NOON + timedelta(hours=2), most=10)
    assert sum(found.counts.values()) == found.attempts == len(drawn)
    assert sum(lane.attempts for lane in found.lanes) == len(drawn)
    assert sum(bar.stands_for for bar in found.bars) == len(drawn)
    assert abs(sum(lane.busy for lane in found.lanes) - found.busy) < 1e-3
    assert set(found.counts) <= set(KINDS.values())


@given(ATTEMPTS, st.integers(1, 40))
def test_joined_bars_hold_what_they_stand_for(
    drawn: list[tuple[int, int, int, str | None]], most: int
) -> None:
    """Each lane's bars reach from its first beginning to its last end."""
    whole = fold_timeline(rows(drawn), NOON + timedelta(hours=2))
    few = merged(whole.bars, 5.0, most)
    for lane in range(len(whole.lanes)):
        own = [bar for bar in whole.bars if bar.lane == lane]
        left = [bar for bar in few if bar.lane == lane]
        assert min(bar.start for bar in own) == min(bar.start for bar in left)
        assert max(bar.end for bar in own) == max(bar.end for bar in left)


def test_thousands_of_attempts_are_few_bars() -> None:
    """Of three days with ten workers as many as a screen can tell apart."""
    drawn = [(at % 10, at * 26, 240, "pruned") for at in range(10_000)]
    found = fold_timeline(rows(drawn), NOON, most=3000)
    assert len(found.bars) <= 3000
    assert sum(bar.stands_for for bar in found.bars) == 10_000


def test_few_attempts_are_drawn_as_they_are() -> None:
    """However short they are."""
    bars = [Bar(0, float(at), at + 0.5, "pruned", at, 1) for at in range(50)]
    assert merged(bars, 1000.0, 50) == tuple(bars)


def test_what_runs_ends_now() -> None:
    """And what was lost looks like nothing else."""
    found = fold_timeline(rows([(0, 0, 0, None), (1, 0, 60, "lost")]), NOON + timedelta(minutes=5))
    assert found.seconds == {"running": 300.0, "lost": 60.0}
    data = timeline_data(found)
    lanes: dict[object, object] = defaultdict(str)
    lanes.update(zip(data.kinds, data.ends, strict=True))
    assert lanes == {"running": 300.0, "lost": 60.0}


def test_no_attempts_are_an_empty_timeline() -> None:
    """With an axis all the same."""
    found = fold_timeline([], NOON)
    assert (found.bars, found.lanes, found.busy, timeline_data(found).starts) == ((), (), 0, ())
