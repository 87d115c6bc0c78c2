"""How far a recorded table's answers are from trainings that it has not seen, and what seeds do.

    python -m benchmarks.search.table_error benchmarks/data/*.json.gz
    python -m benchmarks.search.table_error --taskset CURVES/taskset/*.json.gz

Ten folds, the trainings of the same params in one of them. Errors are root mean squares as shares
of the standard deviation over the table, so that 1 is what its mean would do; `noise` is that of
one training around the mean of its seeds, below which nobody gets. Rank is Spearman's correlation.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.search import recorded, taskset
from benchmarks.search.fitted import Floats, Rows, Spread, trees
from benchmarks.search.table import Table, coordinates
from benchmarks.search.task import Curve

FOLDS = 10
Answer = Callable[[Rows, Rows], Floats]  # curves of the second's params by what the first recorded


def nearest(known: Rows, asked: Rows) -> Floats:
    """The curve of the nearest training."""
    points = np.stack([coordinates(known.spec, one) for one in known.params])
    curves = [Curve(tuple(values), ()) for values in known.values.tolist()]
    table = Table(known.spec, points, curves)
    return np.array([curve.values for curve in table.curves(asked.params)])


def fitted(known: Rows, asked: Rows) -> Floats:
    """What the fitted trees expect."""
    return np.asarray(trees(known.inputs, known.values).predict(asked.inputs))


def held_out(table: Rows, answer: Answer) -> Floats:
    """The answer to each training's params by the trainings of other folds, N×epochs."""
    _, places = np.unique(table.keys, return_inverse=True)
    fold = np.random.default_rng(0).permutation(places.max() + 1)[places] % FOLDS
    found = np.empty_like(table.values)
    for one in range(FOLDS):
        is_asked = fold == one
        found[is_asked] = answer(_part(table, ~is_asked), _part(table, is_asked))
    return found


def ranks(table: Rows, found: Floats) -> tuple[float, float]:
    """Rank correlations of last and of best values with those of the table."""
    sign = table.spec.objectives[0].key(1.0)
    pairs = (sign * found, sign * table.values)
    last, best = [one[:, -1] for one in pairs], [one.min(axis=1) for one in pairs]
    return float(spearmanr(*last).statistic), float(spearmanr(*best).statistic)


def _part(table: Rows, is_in: NDArray[np.bool_]) -> Rows:
    params = [one for one, inside in zip(table.params, is_in, strict=True) if inside]
    return Rows(table.spec, params, table.values[is_in], table.seconds[is_in])


def _describe(table: Rows) -> None:
    print(f"  {len(table.params)} trainings of {len(set(table.keys))} params")
    whole = table.values.std(axis=0)
    departures = Spread.of(table).departures
    if departures:
        _describe_seeds(np.concatenate(departures), whole)
    for name, answer in (("nearest", nearest), ("fitted", fitted)):
        found = held_out(table, answer)
        wrong = found - table.values
        last, best = ranks(table, found)
        print(
            f"  {name:8} last {_ratio(wrong[:, -1:], whole[-1:]):.2f}, curve "
            f"{_ratio(wrong, whole):.2f}, rank of last {last:.2f}, of best {best:.2f}"
        )


def _describe_seeds(departures: Floats, whole: Floats) -> None:
    sd = np.sqrt((departures**2).mean(axis=0))
    related = np.atleast_2d(np.corrcoef(departures.T))
    third, later = len(sd) // 3, 2 * len(sd) // 3
    steps = [f"{sd[step - 1]:.4f} at {step}" for step in (1, third, later, len(sd))]
    print(f"  sd of seeds by epoch: {', '.join(steps)}")
    print(
        f"  correlation with the last epoch: {related[third - 1, -1]:.2f} at {third}, "
        f"{related[later - 1, -1]:.2f} at {later}, {related[-2, -1]:.2f} one before"
    )
    print(f"  noise    last {sd[-1] / whole[-1]:.2f}, curve {_ratio(departures, whole):.2f}")


def _ratio(wrong: Floats, spread: Floats) -> float:
    return float(np.sqrt((wrong**2).mean() / (spread**2).mean()))


def main() -> None:
    """Print it for each table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--taskset", action="store_true", help="they are TaskSet's")
    options = parser.parse_args()
    for path in options.tables:
        print(path.name)
        _describe((taskset if options.taskset else recorded).rows(path))


if __name__ == "__main__":
    main()
