"""What is good on a task of the search benchmark, and what its runs come to beside that."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search import report
from benchmarks.search.levels import best_of, measure
from benchmarks.search.runfile import Order, load, pack
from benchmarks.search.runs import simulate
from benchmarks.search.simulator import Setup
from tests.unit.toy_task import TASK, made_up


def test_best_of_two_is_the_mean_of_the_better_of_pairs() -> None:
    """Of four equally likely values the better of two draws is what all pairs give on average."""
    values = np.array([1.0, 4.0, 2.0, 3.0])
    pairs = [max(a, b) for a in values for b in values]

    assert np.mean(pairs) == pytest.approx(best_of(2, TASK, values))
    assert np.mean([5 - pair for pair in pairs]) == pytest.approx(
        best_of(2, replace(TASK, direction="minimize"), values)
    )


def test_levels_rise_with_luck() -> None:
    """The median, the best of 40, of 160 and of all draws stand in that order."""
    found = measure(TASK, sample=300)

    assert found.median_seen < found.best_of_40 < found.best_of_160 < found.best_seen <= 1
    assert 0 == found.regret(found.best_seen)
    assert 1 == found.regret(found.median_seen)


def test_regret_goes_by_what_was_seen_within_the_budget() -> None:
    """Before a budget only earlier values count; before any value the regret is 1."""
    run = made_up([5.0, 0.6, 0.6], [30.0, 0.8, 0.7])

    assert [1, 0.75, 0.25] == pytest.approx([report.regret_at(run, at) for at in (4, 10, 40)])
    assert 0.5 == pytest.approx(report.final_regret_at(run, 40))


def test_what_a_study_gives_is_the_best_of_its_whole_trainings() -> None:
    """A better epoch of one that was never finished is of no use to anybody."""
    run = replace(
        made_up([5.0, 0.6, 0.7], [9.0, 0.8, 0.85]),
        completed=[[8.0, 0.6, 0.6], [30.0, 0.7, 0.7]],
    )
    assert [1, 0.75, 0.5] == pytest.approx(
        [report.completed_regret_at(run, at) for at in (5, 10, 40)]
    )
    (row,) = report.rows([run])
    assert row.completed is not None
    assert 0.5 == pytest.approx(row.completed.value)


def test_whole_trainings_are_kept_apart() -> None:
    """Each step is seen; the last one of a training that came to its end counts once more."""
    run = simulate(Order("toys", "toy", "random+promote", Setup(workers=2, budget=6)), TASK)

    assert run.completed
    assert all(value == final for _, value, final in run.completed)
    assert run.completed[-1][1] <= run.best[-1][1]


def test_a_run_of_ours_keeps_what_drew_its_trials(tmp_path: Path) -> None:
    """Every trial counts once, whichever sampler or source it is of; the file has it too."""
    run = simulate(Order("toys", "toy", "auto+auto", Setup(workers=2, budget=8)), TASK)
    pack([run], tmp_path / "runs.xz")

    (found,) = load(tmp_path / "runs.xz")
    assert 1 == run.drawn_by["base"]
    assert len(run.drawn_by) > 1
    assert run.trials == sum(run.drawn_by.values())
    assert run.drawn_by == found.drawn_by


def test_a_baseline_and_an_older_file_do_not_say_what_drew_trials(tmp_path: Path) -> None:
    """The count is empty then, and the run is read all the same."""
    older = asdict(made_up([1.0, 0.6, 0.6]))
    del older["drawn_by"]
    (tmp_path / "runs.jsonl").write_text(json.dumps(older) + "\n")

    (run,) = load(tmp_path / "runs.jsonl")
    optuna = simulate(Order("toys", "toy", "optuna-tpe", Setup(workers=2, budget=3)), TASK)

    assert {} == run.drawn_by == optuna.drawn_by


def test_reaching_a_level_takes_the_first_budget_that_does() -> None:
    """The median over runs counts a run that never arrives as infinite."""
    arrives, late = made_up([8.0, 0.72, 0.7]), made_up([9.0, 0.6, 0.6], seed=1)

    (row,) = report.rows([arrives, late, replace(arrives, order=made_up(seed=2).order)])

    assert (8.0, pytest.approx(2 / 3)) == row.reach_40
    assert math.inf == row.reach_160[0]


def test_the_best_known_is_the_best_of_sample_and_runs() -> None:
    """A run that beats the random sample moves the zero of its task for every run."""
    runs = report.normalized(
        [made_up([1.0, 1.0, 1.0]), made_up([1.0, 0.5, 0.5], seed=1), made_up(task="other")]
    )

    assert [1.0, 1.0, 0.9] == [run.levels.best_seen for run in runs]


def test_interquartile_mean_leaves_the_outer_quarters_out() -> None:
    """Of eight values the middle four count."""
    assert 4.5 == report.interquartile_mean(np.array([100.0, 3, 4, 5, 6, -7, 2, 9]))


def test_a_table_names_what_is_out_of_the_ordinary() -> None:
    """Workers, lag and loss are told where they are not the usual ones, one row each."""
    usual, slow = made_up([1.0, 0.6, 0.6]), made_up([1.0, 0.6, 0.6])
    slow.order["setting"] |= {"workers": 32, "lag": 0.02}

    assert ["m", "m, W=32, lag 2%"] == [row.name for row in report.rows([usual, slow])]
    assert "| m, W=32, lag 2% | 1 (1) |" in report.markdown(report.rows([usual, slow]))
