"""Metrics that a validation split cannot define, whatever a network predicts on it."""

from collections.abc import Sequence

from tuner.spec.metrics import LOSSES, MEASURED, split_metric


def why_undefined(metric: str, labelled: Sequence[int], classes: Sequence[str]) -> str | None:
    """Why a metric says nothing on a split with so many labelled pixels of each class; or None.

    Of a class without a label, recall has no value, and IoU, Dice and precision are 0 wherever the
    class is predicted and have no value elsewhere.
    """
    if metric in LOSSES or metric in MEASURED:
        return None
    if not any(labelled):
        return "no pixel of the validation split has a label that counts"
    named = named_classes(metric, classes)
    if not named or any(labelled[classes.index(name)] for name in named):
        return None
    if len(named) == 1:
        return f"class '{named[0]}' is in no validation image"
    return f"none of the classes {', '.join(named)} is in a validation image"


def named_classes(metric: str, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that a metric names: `recall.car` one, `iou.[car,bus]` two, `miou` none."""
    _, what = split_metric(metric)
    names = what if isinstance(what, list) else [what]
    return tuple(name for name in names if name is not None and name in classes)
