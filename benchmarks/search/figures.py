"""Figures of runs that were made before, and the file in which they are kept.

    python -m benchmarks.search.figures --against rung_tpe+promote
    python -m benchmarks.search.figures runs.jsonl --groups dev --against auto+auto
    python -m benchmarks.search.figures runs.jsonl --keep --rename auto+auto=today

Without files it reads the kept ones. `--keep` adds the runs of the files to them; of the same
simulation the later one stays, and of a task that has changed only the runs of the files.
"""

import argparse
from pathlib import Path

from benchmarks.search import compare, report, runfile
from benchmarks.search.groups import GROUPS
from benchmarks.search.runfile import Run
from tuner.wording import quantity

KEPT = Path(__file__).parents[1] / "data" / "search-runs.jsonl.xz"


def main() -> None:
    """Print the tables of each group that has runs, or keep the runs."""
    options = _options()
    found = [run for path in options.files or [options.kept] for run in runfile.load(path)]
    found = runfile.renamed(found, dict(one.split("=", 1) for one in options.rename))
    found = [run for run in found if run.order["group"] in options.groups]
    if options.methods:
        found = [run for run in found if run.order["method"] in options.methods]
    found = runfile.latest(found)
    if not found:
        places = ", ".join(str(path) for path in options.files or [options.kept])
        raise SystemExit(f"no runs of these groups and methods in {places}")
    try:
        if options.keep:
            keep(found, options.kept)
        else:
            show(found, options.groups, options.against)
    except report.TaskChanged as error:
        raise SystemExit(str(error)) from None


def keep(runs: list[Run], path: Path) -> None:
    """Add the runs to a packed file, and take out of it what was run on tasks that have changed.

    Raises TaskChanged where the runs themselves are of two tasks by one name.
    """
    kept = runfile.load(path)
    still = report.unchanged(kept, report.levels_of(runs))
    runfile.pack([*still, *runs], path)
    if left := len(kept) - len(still):
        print(f"{quantity(left, 'kept run')} of tasks that have changed since left out")
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def show(runs: list[Run], groups: list[str], against: str | None) -> None:
    """Print the tables of each of the groups that has runs. Raises TaskChanged."""
    for group in groups:
        if members := [run for run in runs if run.order["group"] == group]:
            print(f"\n### {group}\n\n{tables(members, against)}")


def tables(runs: list[Run], against: str | None) -> str:
    """A row for each method, and what it is ahead or behind of one of them."""
    text = report.markdown(report.rows(runs))
    if against is None:
        return text
    return f"{text}\n\n{compare.markdown(compare.compare(runs, against), against)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="*", type=Path, help="of runs; by default the kept ones")
    add("--against", help="the method that the others are compared with")
    add("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    add("--methods", nargs="+", help="of the runs only those of these methods")
    add("--rename", nargs="+", default=[], metavar="OLD=NEW", help="methods of what is read")
    add("--keep", action="store_true", help="add the runs of the files to the kept ones")
    add("--kept", type=Path, default=KEPT, help="another file than the repository's")
    options = parser.parse_args()
    if options.keep and not options.files:
        parser.error("say which files of runs to keep")
    return options


if __name__ == "__main__":
    main()
