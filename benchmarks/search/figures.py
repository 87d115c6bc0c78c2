"""Figures of runs that were made before, and the file in which they are kept.

    python -m benchmarks.search.figures --against rung_tpe+promote
    python -m benchmarks.search.figures runs.jsonl --groups dev --against auto+auto
    python -m benchmarks.search.figures runs.jsonl --keep --rename auto+auto=today

Without files it reads the kept ones. `--keep` adds the runs of the files to them; of the same
simulation the later one stays.
"""

import argparse
from pathlib import Path

from benchmarks.search import compare, report, runfile
from benchmarks.search.groups import GROUPS
from benchmarks.search.runfile import Run

KEPT = Path(__file__).parents[1] / "data" / "search-runs.jsonl.gz"


def main() -> None:
    """Print the tables of each group that has runs, or keep the runs."""
    options = _options()
    found = [run for path in options.files or [options.kept] for run in runfile.load(path)]
    found = runfile.renamed(found, dict(one.split("=", 1) for one in options.rename))
    found = [run for run in found if run.order["group"] in options.groups]
    if options.methods:
        found = [run for run in found if run.order["method"] in options.methods]
    if options.keep:
        runfile.pack([*runfile.load(options.kept), *found], options.kept)
        print(f"{options.kept}: {options.kept.stat().st_size / 1000:.0f} kB")
        return
    for group in options.groups:
        if runs := [run for run in found if run.order["group"] == group]:
            print(f"\n### {group}\n\n{tables(runs, options.against)}")


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
