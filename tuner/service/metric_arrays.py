"""Metrics of many confusion matrices at once: what `tuner.spec.metrics` defines, in arrays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tuner.spec.metrics import split_metric
from tuner.store.matrix_sums import Sums

FloatArray = npt.NDArray[np.float64]


def compute(metric: str, sums: Sums, classes: Sequence[str]) -> FloatArray:
    """One metric of N matrices by any valid name; NaN where it has no defined value."""
    measure, what = split_metric(metric)
    if measure is None or not what:
        return _summary(metric, sums)
    values = _by_class(measure, sums)
    if what == "worst":
        return _lowest(values)
    names = what if isinstance(what, list) else [what]
    return _mean(values[:, [classes.index(name) for name in names]])


def _summary(metric: str, sums: Sums) -> FloatArray:
    total = sums.labelled.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        match metric:
            case "miou":
                return _mean(_by_class("iou", sums))
            case "mean_accuracy":
                return _mean(_by_class("recall", sums))
            case "dice" | "precision" | "recall":
                return _mean(_by_class(metric, sums))
            case "pixel_accuracy":
                return np.asarray(sums.hits.sum(axis=1) / total)
            case "fwiou":
                weighed = np.nan_to_num(_by_class("iou", sums)) * sums.labelled
                return np.asarray(weighed.sum(axis=1) / total)
    return np.full(len(total), np.nan)


def _by_class(measure: str, sums: Sums) -> FloatArray:
    """N×K, NaN where the class is neither labelled nor predicted; recall: where not labelled."""
    hits, labelled, predicted = sums.hits, sums.labelled, sums.predicted
    either = labelled + predicted
    with np.errstate(divide="ignore", invalid="ignore"):
        match measure:
            case "iou":
                return np.asarray(hits / (either - hits))
            case "dice":
                return np.asarray(2 * hits / either)
            case "precision":
                found = hits / np.maximum(predicted, 1)
                return np.where(either > 0, found, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(hits / labelled)


def _mean(values: FloatArray) -> FloatArray:
    """Mean over the classes that have a value."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1))


def _lowest(values: FloatArray) -> FloatArray:
    found = np.where(np.isnan(values), np.inf, values).min(axis=1)
    return np.where(np.isinf(found), np.nan, found)
