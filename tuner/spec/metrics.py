"""The one definition of every segmentation metric: all derive from an integer confusion matrix.

Rows are labels, columns are predictions. Means go over classes with a non-empty union, so that
a class absent from labels and predictions does not count (research: never average batch IoUs), and
one that occurs and is never predicted has precision 0. Recall alone goes over the labelled classes,
as the mean accuracy of Long et al. 2015 does: where nothing is labelled, nothing can be missed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tuner.spec.hints import nearest

Confusion = Sequence[Sequence[int]]

SUMMARIES = (
    "miou",
    "iou.worst",
    "fwiou",
    "pixel_accuracy",
    "mean_accuracy",
    "dice",
    "precision",
    "recall",
)
LOSSES = ("train_loss",)
# What `spec.deployment.Measurements` holds, each with its unit: the same at every step of a trial.
MEASURED: Mapping[str, str] = {
    "latency_ms": "ms",
    "latency_p95_ms": "ms",
    "throughput": "images/s",
    "memory_mb": "MB",
    "parameters": "",
    "macs": "",
}
MINIMIZED = frozenset({*LOSSES, *MEASURED} - {"throughput"})
MEASURES = ("iou", "dice", "precision", "recall")  # of one class, of the worst, of some


def metric_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Every metric that a trial over these classes may have, whoever reports or measures it."""
    return (*SUMMARIES, *(f"iou.{name}" for name in classes), *LOSSES, *MEASURED)


def unknown_metric(metric: str, classes: Sequence[str]) -> str | None:
    """What is wrong with a metric's name, or None.

    Beside what is reported, a name may ask for a measure of one class, of the worst, or the mean
    over some: `recall.car`, `dice.worst`, `iou.[car,pedestrian]`.
    """
    valid = metric_names(classes)
    if metric in valid:
        return None
    measure, what = split_metric(metric)
    if measure is None or not what:
        return f"no metric is called '{metric}'; {nearest(metric, valid)}"
    if isinstance(what, list):
        return _unknown_class(what, classes)
    if what in {"worst", *classes}:
        return None
    hint = nearest(what, (*classes, "worst"), prefix=f"{measure}.")
    return f"no metric is called '{metric}'; {hint}"


def split_metric(metric: str) -> tuple[str, str | list[str]] | tuple[None, None]:
    """Measure and class of `recall.car`, or classes of `iou.[car,bus]`; None for other metrics."""
    measure, _, what = metric.partition(".")
    if measure not in MEASURES:
        return None, None
    if what.startswith("[") and what.endswith("]"):
        return measure, [name.strip() for name in what[1:-1].split(",")]
    return measure, what


def _unknown_class(names: Sequence[str], classes: Sequence[str]) -> str | None:
    for name in names:
        if name not in classes:
            return f"no class is called '{name}'; {nearest(name, classes)}"
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    return f"classes are listed twice: {', '.join(repeated)}" if repeated else None


def derive(confusion: Confusion, classes: Sequence[str]) -> dict[str, float]:
    """Every reported metric of a K×K confusion matrix; those without a defined value are left out.

    iou = TP / (TP + FP + FN), dice = 2·TP / (2·TP + FP + FN), fwiou weighs iou by label share
    (Long et al. 2015). Integers are summed exactly and divided in float64.
    """
    labelled = [sum(row) for row in confusion]
    total = sum(labelled)
    found = by_class(confusion)
    iou = found["iou"]
    if not iou or total == 0:
        return {}
    return {
        "miou": _mean(iou.values()),
        "iou.worst": min(iou.values()),
        "fwiou": sum(iou[k] * labelled[k] for k in iou) / total,
        "pixel_accuracy": sum(row[k] for k, row in enumerate(confusion)) / total,
        "mean_accuracy": _mean(found["recall"].values()),
        "dice": _mean(found["dice"].values()),
        "precision": _mean(found["precision"].values()),
        "recall": _mean(found["recall"].values()),
        **{f"iou.{classes[k]}": value for k, value in iou.items()},
    }


def compute(metric: str, confusion: Confusion, classes: Sequence[str]) -> float | None:
    """One metric of a confusion matrix by any valid name; None where it has no defined value."""
    measure, what = split_metric(metric)
    if measure is None or not what:
        return derive(confusion, classes).get(metric)
    values = {classes[k]: value for k, value in by_class(confusion)[measure].items()}
    if what == "worst":
        return min(values.values(), default=None)
    names = what if isinstance(what, list) else [what]
    chosen = [values[name] for name in names if name in values]
    return _mean(chosen) if chosen else None


def named(
    names: Iterable[str],
    metrics: Mapping[str, float],
    confusion: Confusion | None,
    classes: Sequence[str],
) -> dict[str, float]:
    """The metrics, and those of these names that they lack as far as the matrix defines them."""
    missing = [name for name in names if name not in metrics]
    if not missing or confusion is None:
        return dict(metrics)
    found = {name: compute(name, confusion, classes) for name in missing}
    return {**metrics, **{name: value for name, value in found.items() if value is not None}}


def by_class(confusion: Confusion) -> dict[str, dict[int, float]]:
    """Each of `MEASURES` by class, where it is defined; dice of one class is its F1."""
    hits = [row[k] for k, row in enumerate(confusion)]
    labelled = [sum(row) for row in confusion]
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    present = [k for k in range(len(hits)) if labelled[k] + predicted[k] > 0]
    return {
        "iou": {k: hits[k] / (labelled[k] + predicted[k] - hits[k]) for k in present},
        "dice": {k: 2 * hits[k] / (labelled[k] + predicted[k]) for k in present},
        "precision": {k: hits[k] / max(predicted[k], 1) for k in present},
        "recall": {k: hits[k] / labelled[k] for k in present if labelled[k] > 0},
    }


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
