"""Objectives and constraints that no trial of a study can ever have a value of."""

from typing import NamedTuple

from tuner.spec.messages import Report
from tuner.spec.metrics import LOSSES, MEASURED
from tuner.spec.study import StudySpec
from tuner.spec.undefined import why_undefined


class Undefined(NamedTuple):
    """A metric that a study needs and cannot have, and why, with what to do."""

    metric: str
    reason: str


def undefined_reason(spec: StudySpec, report: Report) -> Undefined | None:
    """The first metric that the data or the worker cannot give, by a report of one epoch.

    A value that is missing by accident, such as the loss of an epoch or the precision of a class
    that was not predicted yet, is none.
    """
    labelled = [sum(row) for row in report.confusion or ()]
    classes = spec.dataset.classes
    for role, metric in (
        *(("objective", each.metric) for each in spec.objectives),
        *(("constraint on", each.metric) for each in spec.constraints),
    ):
        if report.metrics.get(metric) or metric in LOSSES or metric in MEASURED:
            continue
        if report.confusion is None:
            if metric not in report.metrics:
                return Undefined(metric, _no_matrix(role, metric))
        elif len(labelled) == len(classes) and (why := why_undefined(metric, labelled, classes)):
            return Undefined(metric, _no_label(role, metric, why))
    return None


def _no_matrix(role: str, metric: str) -> str:
    return (
        f"the {role} {metric} has no value: a report brought neither the metric nor a confusion "
        "matrix to compute it from; let the workers send the matrix, or use another metric"
    )


def _no_label(role: str, metric: str, why: str) -> str:
    return (
        f"the {role} {metric} cannot be measured on this data: {why}; put images that show it "
        "into the validation split, or use another metric (`segtune check-data` counts classes)"
    )
