"""Learning curves of real trainings, recorded by segtune itself, for `benchmarks.search`.

    python -m benchmarks.record shrink camvid FOLDER_OF_CAMVID small/camvid    # in a CPU's size
    segtune up --data-root small
    segtune submit benchmarks/data/camvid.yaml
    python -m benchmarks.record repeat camvid-curves         # 30 of them with three seeds each
    python -m benchmarks.record export sqlite:///segtune.db camvid-curves camvid.json.gz

    python -m benchmarks.record picture sqlite:///segtune.db camvid-models curves.png

`crackforest` in the same way. The study draws at random and prunes nothing, so that any search can
be replayed on its trials; at any time what has completed can be exported. Of each trial the table
keeps params and seed, and by epoch its seconds and the metrics of its confusion matrix.
"""

import argparse
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from tuner.client.client import Client
from tuner.service import overview
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.views import TrialSummary
from tuner.store.engine import Database

KEPT = ("miou", "pixel_accuracy", "dice", "iou.", "train_loss")  # names or their beginnings


@dataclass(frozen=True, slots=True)
class Copy:
    """A small copy: every so many pictures of each split, in a width and height of so many pixels.

    With a `thin` class each picture is halved, and of it is kept the window that shows most of that
    class: made smaller still, what is two pixels wide would be lost. It keeps each pixel of which
    it covers a quarter.
    """

    every: Mapping[str, int]
    size: tuple[int, int]
    thin: int | None = None

    def pair(self, image: Image.Image, label: Image.Image) -> tuple[Image.Image, Image.Image]:
        """The small image and the small label."""
        if self.thin is None:
            return (
                image.resize(self.size, Image.Resampling.BOX),
                label.resize(self.size, Image.Resampling.NEAREST),
            )
        has_it = Image.fromarray(np.uint8(255) * (np.asarray(label) == self.thin))
        small = np.uint8(self.thin) * (np.asarray(has_it.reduce(2)) >= QUARTER)
        window = _fullest(small, *self.size)
        return image.reduce(2).crop(window), Image.fromarray(small).crop(window)


QUARTER = 64  # of 255
COPIES = {
    "camvid": Copy({"train": 10, "val": 4}, (48, 36)),  # frames that follow each other closely
    "camvid_large": Copy({"train": 5, "val": 2}, (128, 96)),
    "crackforest": Copy({"train": 2, "val": 2}, (64, 48), thin=1),
}


def shrink(source: Path, target: Path, copy: Copy) -> int:
    """Write the small copy of a data set; gives the number of pairs."""
    count = 0
    for split, every in copy.every.items():
        for image in sorted((source / "images" / split).iterdir())[::every]:
            name = Path(split, f"{image.stem}.png")
            with Image.open(image) as whole, Image.open(source / "labels" / name) as label:
                pair = copy.pair(whole, label)
            for kind, small in zip(("images", "labels"), pair, strict=True):
                path = target / kind / name
                path.parent.mkdir(parents=True, exist_ok=True)
                small.save(path)
            count += 1
    return count


def _fullest(mask: NDArray[np.uint8], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the window that holds most of the mask."""
    inside = sliding_window_view(mask, (height, width)).sum(axis=(2, 3))
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(left), int(top), int(left) + width, int(top) + height


COUNTED = (TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED, TrialState.COMPLETED)


def repeat(client: Client, study: str, *, configurations: int, seeds: int) -> int:
    """Ask for the first drawn trainings again until each has that many seeds; gives their number.

    A trial's seed comes of its number: a trial by hand with the same params has another one. One
    that failed or was cancelled has left no curve, and is asked for again.
    """
    trials = list(client.trials(study))
    by_hand = [
        trial.params
        for trial in trials
        if trial.source is TrialSource.USER and trial.state in COUNTED
    ]
    drawn = [
        trial.params
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.source is TrialSource.SAMPLER and trial.state is TrialState.COMPLETED
    ]
    missing = [
        params
        for params in drawn[:configurations]
        for _ in range(seeds - 1 - by_hand.count(params))
    ]
    for params in missing:
        client.enqueue(study, params)
    return len(missing)


def export(url: str, study: str) -> dict[str, Any]:
    """The table of a study: its base recipe, its space, and its completed trials in order."""
    db = Database(url)
    spec = overview.study(db, study).spec.dump()
    return {
        "objective": spec["objectives"][0],
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
        "seed": overview.trial(db, study, trial.number).config.seed,
        "curve": [_kept(step.metrics) for step in steps],
        "seconds": [round(step.seconds, 3) for step in steps],
    }


def _kept(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in metrics.items() if name.startswith(KEPT)}


def main() -> None:
    """Shrink a data set, ask for repeats, export the table, or draw curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    small = commands.add_parser("shrink", help="write a small copy of a data set")
    small.add_argument("data", choices=COPIES)
    small.add_argument("source", type=Path)
    small.add_argument("target", type=Path)
    again = commands.add_parser("repeat", help="train the first configurations with more seeds")
    again.add_argument("study")
    again.add_argument("--configurations", type=int, default=30)
    again.add_argument("--seeds", type=int, default=3)
    again.add_argument("--server", help="else SEGTUNE_SERVER")
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
        pairs = shrink(options.source, options.target, COPIES[options.data])
        print(f"{pairs} pairs below {options.target}")
        return
    if options.command == "repeat":
        with Client(options.server) as client:
            added = repeat(
                client, options.study, configurations=options.configurations, seeds=options.seeds
            )
        print(f"{added} trials were added to {options.study}")
        return
    found = export(options.url, options.study)
    options.file.parent.mkdir(parents=True, exist_ok=True)
    # No name and no time in the archive: the same table gives the same bytes.
    with options.file.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(json.dumps(found, separators=(",", ":")).encode())
    print(f"{len(found['trials'])} trials in {options.file}")


if __name__ == "__main__":
    main()
