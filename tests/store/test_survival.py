"""Rung survival: of the trials that came to a rung, each did one thing."""

from hypothesis import given
from hypothesis import strategies as st

from tuner.service.charts.survival import MOST_RUNGS, survival
from tuner.spec.states import TrialState
from tuner.store.chart_rows import TrialOutline

TRIALS = st.lists(st.tuples(st.sampled_from(list(TrialState)), st.integers(0, 60)), max_size=80)


def outlines(drawn: list[tuple[TrialState, int]], epochs: int = 60) -> list[TrialOutline]:
    """Trials in these states after so many epochs."""
    return [
        TrialOutline(
            number=number,
            state=state,
            source="sampler",
            step=epochs if state is TrialState.COMPLETED else step,
            epochs=epochs,
            seconds=10.0 * step,
            value=0.5,
            feasible=None,
            parent=None,
        )
        for number, (state, step) in enumerate(drawn)
    ]


@given(TRIALS, st.none() | st.sets(st.integers(1, 60), max_size=6))
def test_everyone_that_came_is_counted_once(
    drawn: list[tuple[TrialState, int]], rungs: set[int] | None
) -> None:
    """It passed, was stopped, waits, failed or is under way; no more come than passed before."""
    found = survival(outlines(drawn), None if rungs is None else sorted(rungs))
    came = found.began
    for rung in found.rungs:
        parts = (rung.passed, rung.stopped, rung.paused, rung.failed, rung.running)
        assert rung.came == sum(parts)
        assert rung.came <= came
        assert len(rung.trials) == rung.stopped
        came = rung.passed
    assert len(found.rungs) <= max(MOST_RUNGS, len(rungs or ()))


@given(TRIALS)
def test_what_was_saved_is_what_the_stopped_did_not_train(
    drawn: list[tuple[TrialState, int]],
) -> None:
    """All of it, in one rung or another."""
    found = survival(outlines(drawn), None)
    pruned = [step for state, step in drawn if state is TrialState.PRUNED and step]
    assert sum(rung.saved for rung in found.rungs) == sum(60 - step for step in pruned)
    assert sum(rung.stopped for rung in found.rungs) == len(pruned)


def test_a_rung_that_nobody_was_stopped_at_is_shown() -> None:
    """So that a person sees that it let all through."""
    found = survival(outlines([(TrialState.COMPLETED, 60), (TrialState.PRUNED, 9)]), [3, 9])
    assert [(rung.epoch, rung.came, rung.passed, rung.stopped) for rung in found.rungs] == [
        (3, 2, 2, 0),
        (9, 2, 1, 1),
    ]


def test_a_trial_that_broke_a_bound_before_training_came_to_no_rung() -> None:
    """It is counted by itself."""
    unfit = outlines([(TrialState.PRUNED, 0)])[0]._replace(feasible=False)
    found = survival([unfit], [3])
    assert (found.began, found.unfit, found.rungs[0].came) == (0, 1, 0)
