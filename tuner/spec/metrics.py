"""The one definition of every segmentation metric: all derive from an integer confusion matrix.

Rows are labels, columns are predictions. Means go over classes with a non-empty union, so that
a class absent from labels and predictions does not count (research: never average batch IoUs).
"""

from collections.abc import Sequence
from difflib import get_close_matches

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
MINIMIZED = frozenset(LOSSES)


def metric_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Every metric that a study over these classes may name."""
    return (*SUMMARIES, *(f"iou.{name}" for name in classes), *LOSSES)


def unknown_metric(metric: str, classes: Sequence[str]) -> str | None:
    """What is wrong with a metric's name, or None."""
    valid = metric_names(classes)
    if metric in valid:
        return None
    close = get_close_matches(metric, valid, n=3, cutoff=0.5) or list(valid)
    return f"no metric is called '{metric}'; nearest: {', '.join(close)}"


def derive(confusion: Confusion, classes: Sequence[str]) -> dict[str, float]:
    """Every metric of a K×K confusion matrix; metrics without a defined value are left out.

    iou = TP / (TP + FP + FN), dice = 2·TP / (2·TP + FP + FN), fwiou weighs iou by label share
    (Long et al. 2015). Integers are summed exactly and divided in float64.
    """
    hits = [row[index] for index, row in enumerate(confusion)]
    labelled = [sum(row) for row in confusion]
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    total = sum(labelled)
    present = [k for k in range(len(classes)) if labelled[k] + predicted[k] > 0]
    if not present or total == 0:
        return {}
    iou = {k: hits[k] / (labelled[k] + predicted[k] - hits[k]) for k in present}
    seen = [k for k in present if labelled[k] > 0]
    guessed = [k for k in present if predicted[k] > 0]
    return {
        "miou": _mean([iou[k] for k in present]),
        "iou.worst": min(iou.values()),
        "fwiou": sum(iou[k] * labelled[k] for k in present) / total,
        "pixel_accuracy": sum(hits) / total,
        "mean_accuracy": _mean([hits[k] / labelled[k] for k in seen]),
        "dice": _mean([2 * hits[k] / (labelled[k] + predicted[k]) for k in present]),
        "precision": _mean([hits[k] / predicted[k] for k in guessed]),
        "recall": _mean([hits[k] / labelled[k] for k in seen]),
        **{f"iou.{classes[k]}": value for k, value in iou.items()},
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
