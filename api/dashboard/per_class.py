"""How well each class is found: what a confusion matrix says beyond its IoU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tuner.spec.metrics import Confusion, by_class
from tuner.wording import improvement


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class; `mistaken` is the class that takes most of its labelled pixels, with the share.

    `change` is that of its IoU since the evaluation before.
    """

    name: str
    iou: float | None
    change: float | None = None
    precision: float | None = None
    recall: float | None = None
    share: float | None = None
    mistaken: tuple[str, float] | None = None


def class_scores(
    classes: Sequence[str],
    metrics: Mapping[str, float],
    confusion: Confusion | None,
    *,
    before: Mapping[str, float] = {},
) -> tuple[ClassScore, ...]:
    """Scores of every class, best IoU first, classes without a value last.

    `before` are the metrics of the evaluation before the last.
    """
    if confusion is not None and len(confusion) == len(classes):
        found = by_class(confusion)
        scores = [_score(index, classes, confusion, found) for index in range(len(classes))]
    else:
        scores = [ClassScore(name, metrics.get(f"iou.{name}")) for name in classes]
    scores = [
        replace(score, change=improvement(score.iou, before.get(f"iou.{score.name}")))
        for score in scores
    ]
    return tuple(sorted(scores, key=lambda score: (score.iou is None, -(score.iou or 0.0))))


def _score(
    index: int,
    classes: Sequence[str],
    confusion: Confusion,
    found: Mapping[str, Mapping[int, float]],
) -> ClassScore:
    row = confusion[index]
    labelled, total = sum(row), sum(map(sum, confusion))
    missed = {other: count for other, count in enumerate(row) if other != index and count}
    worst = max(missed, key=lambda other: missed[other], default=None)
    return ClassScore(
        name=classes[index],
        iou=found["iou"].get(index),
        precision=found["precision"].get(index),
        recall=found["recall"].get(index),
        share=labelled / total if total else None,
        mistaken=None if worst is None else (classes[worst], missed[worst] / labelled),
    )
