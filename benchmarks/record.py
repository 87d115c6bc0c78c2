"""Learning curves of real trainings, recorded by segtune itself, for `benchmarks.search`.

    python -m benchmarks.record shrink FOLDER_OF_CAMVID small/camvid    # a copy in a CPU's size
    segtune up --data-root small
    segtune submit benchmarks/data/camvid.yaml --watch
    python -m benchmarks.record export sqlite:///segtune.db camvid-curves camvid.json.gz

    python -m benchmarks.record picture sqlite:///segtune.db camvid-models curves.png

The study draws at random and prunes nothing, so that any search can be replayed on its trials. Of
each trial the table keeps params, and by epoch its seconds and the metrics of its confusion matrix.
"""

import argparse
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tuner.service import overview
from tuner.spec.states import TrialState
from tuner.spec.views import TrialSummary
from tuner.store.engine import Database

EVERY = {"train": 5, "val": 2}  # of CamVid's frames, which follow each other closely
SIZE = (128, 96)  # width and height of the small copy
KINDS = {"images": Image.Resampling.BOX, "labels": Image.Resampling.NEAREST}
KEPT = ("miou", "pixel_accuracy", "dice", "iou.", "train_loss")  # names or their beginnings


def shrink(source: Path, target: Path) -> int:
    """Write every few frames of CamVid in a small size; gives the number of pairs."""
    count = 0
    for split, every in EVERY.items():
        for image in sorted((source / "images" / split).iterdir())[::every]:
            label = source / "labels" / split / f"{image.stem}.png"
            for (kind, filter_), path in zip(KINDS.items(), (image, label), strict=True):
                small = target / kind / split / f"{image.stem}.png"
                small.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(path) as opened:
                    opened.resize(SIZE, filter_).save(small)
            count += 1
    return count


def export(url: str, study: str) -> dict[str, Any]:
    """The table of a study: its base recipe, its space, and its completed trials in order."""
    db = Database(url)
    spec = overview.study(db, study).spec.dump()
    return {
        "base": spec["base"],
        "space": spec["space"],
        "trials": [_row(db, study, trial) for trial in _completed(db, study)],
    }


def draw(url: str, study: str, file: Path) -> int:
    """Draw the first objective of every completed trial by epoch; gives their number."""
    from matplotlib.figure import Figure

    db = Database(url)
    metric = overview.study(db, study).objective.metric
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    shown = list(_completed(db, study))
    for trial in shown:
        steps = overview.steps(db, study, trial.number)
        label = ", ".join(str(value) for value in trial.params.values())
        axes.plot([s.step for s in steps], [s.metrics[metric] for s in steps], label=label)
    axes.set(xlabel="epoch", ylabel=metric)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    return len(shown)


def _completed(db: Database, study: str) -> Iterator[TrialSummary]:
    cursor = None
    while True:
        page = overview.trials(db, study, state=TrialState.COMPLETED, cursor=cursor, limit=200)
        yield from page.items
        if page.next is None:
            return
        cursor = page.next


def _row(db: Database, study: str, trial: TrialSummary) -> dict[str, Any]:
    steps = overview.steps(db, study, trial.number)
    return {
        "params": trial.params,
        "curve": [_kept(step.metrics) for step in steps],
        "seconds": [round(step.seconds, 3) for step in steps],
    }


def _kept(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in metrics.items() if name.startswith(KEPT)}


def main() -> None:
    """Shrink the data set, export the table, or draw curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    small = commands.add_parser("shrink", help="write a small copy of CamVid")
    small.add_argument("source", type=Path)
    small.add_argument("target", type=Path)
    table = commands.add_parser("export", help="write a study's curves")
    table.add_argument("url", help="database of the server, as in SEGTUNE_DATABASE_URL")
    table.add_argument("study")
    table.add_argument("file", type=Path)
    curves = commands.add_parser("picture", help="draw a study's curves")
    curves.add_argument("url")
    curves.add_argument("study")
    curves.add_argument("file", type=Path)
    options = parser.parse_args()
    if options.command == "picture":
        print(f"{draw(options.url, options.study, options.file)} curves in {options.file}")
        return
    if options.command == "shrink":
        print(f"{shrink(options.source, options.target)} pairs below {options.target}")
        return
    found = export(options.url, options.study)
    options.file.parent.mkdir(parents=True, exist_ok=True)
    # No name and no time in the archive: the same table gives the same bytes.
    with options.file.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(json.dumps(found, separators=(",", ":")).encode())
    print(f"{len(found['trials'])} trials in {options.file}")


if __name__ == "__main__":
    main()
