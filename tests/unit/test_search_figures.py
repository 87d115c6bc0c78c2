"""Runs of the search benchmark are kept, read again, and set against each other pair by pair."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from math import inf, isnan, sqrt
from pathlib import Path

import pytest

from benchmarks.search import figures, report, runfile
from benchmarks.search.compare import compare, markdown
from benchmarks.search.levels import Levels
from benchmarks.search.runfile import Order, Run
from benchmarks.search.simulator import Setup
from tests.unit.toy_task import made_up

LEVELS = Levels(1.0, 0.0, 1.0, 0.0, best_of_40=0.5, best_of_160=0.9, seconds=9.0)


def _run(method: str, task: str, value: float, *, group: str = "dev", **setting: float) -> Run:
    """A run that sees one value, at a budget of 5; its regret is what is lacking to 1."""
    setup = Setup(**setting)  # type: ignore[arg-type]
    order = asdict(Order(group, task, method, setup))
    run = made_up([5.0, value, value])
    return replace(run, order=order, levels=LEVELS, cpu_seconds=1 / 3, milliseconds={"draw": 1.5})


def _runs(method: str, values: Sequence[float]) -> list[Run]:
    return [_run(method, str(task), value) for task, value in enumerate(values)]


def test_a_difference_is_over_tasks_their_seeds_averaged_first() -> None:
    """Two seeds of a task count as one number, so that they make no task weigh more."""
    runs = [
        *(_run("old", "a", 0.5, seed=seed) for seed in (0, 1)),
        *(_run("new", "a", value, seed=seed) for seed, value in enumerate((0.6, 0.8))),
        _run("old", "b", 0.5),
        _run("new", "b", 0.4),
    ]

    (found,) = compare(runs, "old")

    assert ("new", 3) == (found.name, found.pairs)
    assert {"a": pytest.approx(-0.2), "b": pytest.approx(0.1)} == found.by_task
    assert -0.05 == pytest.approx(found.regret[40].mean)
    assert 0.3 / sqrt(2) / sqrt(2) == pytest.approx(found.regret[40].error)


def test_of_one_task_the_error_is_over_seeds() -> None:
    """A single table has no other tasks to vary over; a single pair has no error at all."""
    old = [_run("old", "a", 0.5, seed=seed) for seed in range(3)]
    new = [_run("new", "a", value, seed=seed) for seed, value in enumerate((0.5, 0.6, 0.7))]

    (found,) = compare([*old, *new], "old")
    (single,) = compare([old[0], new[0]], "old")

    assert (pytest.approx(-0.1), pytest.approx(0.1 / sqrt(3))) == (
        found.regret[40].mean,
        found.regret[40].error,
    )
    assert isnan(single.regret[40].error)


@pytest.mark.parametrize(("tasks", "error"), [(5, sqrt(5 * 0.01) / 5), (6, 0.0)])
def test_of_few_tasks_the_error_is_that_of_their_seeds(tasks: int, error: float) -> None:
    """Five tasks that agree are no proof; six that do are. Which error it is stands below."""
    names = "abcdef"[:tasks]
    old = [_run("old", task, 0.5, seed=seed) for task in names for seed in (0, 1)]
    new = [_run("new", task, 0.4 + 0.2 * seed, seed=seed) for task in names for seed in (0, 1)]

    (found,) = compare([*old, *new], "old")

    assert error == pytest.approx(found.regret[40].error, abs=1e-9)
    assert found.is_within is (tasks < 6)
    errors = "over seeds within tasks" if found.is_within else "over tasks"
    assert f"errors are {errors}" in markdown([found], "old")


def test_pairs_have_seed_and_setting_in_common() -> None:
    """A run without its like is left out; random search's longer budget makes no difference."""
    runs = [
        _run("old", "a", 0.5, seed=1),
        _run("new", "a", 0.6, seed=2),
        _run("new", "a", 0.6, seed=1, workers=1),
        _run("random", "a", 0.4, seed=1, budget=160.0),
    ]

    assert [("random", 1)] == [(one.name, one.pairs) for one in compare(runs, "old")]


def test_tasks_are_won_and_lost_by_more_than_a_margin() -> None:
    """Differences below a fiftieth are neither; losses stand with the worst first."""
    runs = _runs("old", [0.5] * 5) + _runs("new", [0.51, 0.49, 0.9, 0.4, 0.2])

    (found,) = compare(runs, "old")

    assert 1 == found.ahead()
    assert ["4", "3"] == list(found.losses())
    assert "- new is behind at 40 on: 4 (+0.30), 3 (+0.10)" in markdown([found], "old")
    assert "| 1, 2 of 5 |" in markdown([found], "old")


def test_reach_is_a_ratio_of_medians() -> None:
    """Infinite where the method never arrives, and no number where the other one does not."""
    late = [replace(run, best=[[20.0, 0.6, 0.6]]) for run in _runs("late", [0.6, 0.6])]
    runs = [*_runs("old", [0.6, 0.6]), *late, *_runs("never", [0.1, 0.1])]

    found = {one.name: one for one in compare(runs, "old")}

    assert (4, inf) == (found["late"].reach_40, found["never"].reach_40)
    assert isnan(found["late"].reach_160)


def test_packed_runs_are_read_again_to_six_digits(tmp_path: Path) -> None:
    """What is read is what was run, rounded; levels stand in the file once."""
    runs = [
        replace(run, levels=replace(LEVELS, seconds=100 / 3)) for run in _runs("one", [2 / 3, 0.25])
    ]
    runfile.pack(runs, tmp_path / "runs.jsonl.xz")

    found = runfile.load(tmp_path / "runs.jsonl.xz")

    assert [run.key() for run in runs] == [run.key() for run in found]
    assert [[[5.0, 0.666667, 0.666667]], [[5.0, 0.25, 0.25]]] == [run.best for run in found]
    assert {33.3333} == {run.levels.seconds for run in found}


def test_packing_is_the_same_whatever_the_order(tmp_path: Path) -> None:
    """Bytes depend on the runs alone, and of the same simulation the last one stays."""
    runs, old = _runs("one", [0.1, 0.2, 0.3]), _runs("one", [0.9])
    for name, found in (("a", [*old, *runs]), ("b", [runs[2], runs[0], runs[1]])):
        runfile.pack(found, tmp_path / f"{name}.xz")

    assert (tmp_path / "a.xz").read_bytes() == (tmp_path / "b.xz").read_bytes()


def test_runs_are_kept_under_another_name_and_shown_by_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files go into the kept one; each group gets its tables."""
    kept, old, new = (tmp_path / name for name in ("kept.xz", "old.jsonl", "new.jsonl"))
    for run in _runs("auto+auto", [0.5, 0.5]):
        runfile.add(run, old)
    for run in [*_runs("auto+auto", [0.7, 0.9]), _run("auto+auto", "0", 0.1, group="rbv2")]:
        runfile.add(run, new)

    call = partial(_call, monkeypatch, "--kept", kept)
    call(old, "--keep", "--rename", "auto+auto=before")
    call(new, "--keep")
    capsys.readouterr()
    call("--against", "before")
    shown = capsys.readouterr().out

    assert 5 == len(runfile.load(kept))
    assert shown.index("### dev") < shown.index("### rbv2")
    assert "| auto+auto | 2 | -0.300 ± 0.100 |" in shown


def _call(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["figures", *map(str, words)])
    figures.main()


def test_without_a_run_the_figures_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on the screen and success would read as if there were nothing to compare."""
    with pytest.raises(SystemExit, match=r"no runs .* in .*kept\.xz"):
        _call(monkeypatch, "--kept", tmp_path / "kept.xz")


HARDER = replace(LEVELS, median_seen=0.001)


def test_rounded_levels_are_the_same_levels() -> None:
    """Packed runs round them; a task that has changed differs by more."""
    assert LEVELS.agree_with(replace(LEVELS, seconds=9.00004))
    assert not LEVELS.agree_with(replace(LEVELS, seconds=9.004))
    assert not LEVELS.agree_with(HARDER)


def test_runs_of_a_task_that_has_changed_are_not_known() -> None:
    """Its name is the same and its levels are not."""
    old, new = _run("m", "a", 0.5), replace(_run("n", "a", 0.5), levels=HARDER)

    assert [new] == report.unchanged([old, new], {("dev", "a"): HARDER})


def test_runs_from_before_and_after_a_change_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether for a table of one method or of several, and on the command line."""
    runs = [_run("old", "a", 0.5), replace(_run("new", "a", 0.5), levels=HARDER)]
    for run in runs:
        runfile.add(run, tmp_path / "runs.jsonl")

    for figure in (report.rows, partial(compare, against="old")):
        with pytest.raises(report.TaskChanged, match="runs of a in dev have different levels"):
            figure(runs)
    with pytest.raises(SystemExit, match="runs of a in dev"):
        _call(monkeypatch, tmp_path / "runs.jsonl")


def test_kept_runs_of_a_task_that_has_changed_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All methods' of that task, and those of no other."""
    kept, new = tmp_path / "kept.xz", tmp_path / "new.jsonl"
    runfile.pack([_run(method, task, 0.5) for method in "mn" for task in "ab"], kept)
    runfile.add(replace(_run("m", "a", 0.7), levels=HARDER), new)

    _call(monkeypatch, new, "--keep", "--kept", kept)

    found = [(run.order["method"], run.order["task"]) for run in runfile.load(kept)]
    assert [("m", "a"), ("m", "b"), ("n", "b")] == sorted(found)
    assert "2 kept runs of tasks that have changed" in capsys.readouterr().out


def test_a_run_that_was_made_again_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that a run on the task of today was added to is read without the one before."""
    for run in (_run("m", "a", 0.5), replace(_run("m", "a", 0.7), levels=HARDER)):
        runfile.add(run, tmp_path / "runs.jsonl")

    _call(monkeypatch, tmp_path / "runs.jsonl")

    assert "| m | 1 (1) |" in capsys.readouterr().out
