"""What a study asks of the place where its models are to run, and cannot be had."""

from collections.abc import Iterator

from tuner.errors import Problem
from tuner.spec.deployment import Deployment, unsupported
from tuner.spec.metrics import MEASURED
from tuner.spec.study import StudySpec


def deployment_problems(spec: StudySpec) -> Iterator[Problem]:
    """Metrics that are measured at a place that is not said, and places where none can be."""
    for index, bound in enumerate(spec.constraints):
        if bound.metric in MEASURED and bound.max is not None and bound.max <= 0:
            message = f"{bound.metric} is above 0; no trial can keep a max of {bound.max:g}"
            yield Problem(("constraints", index), message)
    if spec.deployment is not None:
        yield from _unmeasurable(spec.deployment)
        return
    named = [(("objectives", place), each.metric) for place, each in enumerate(spec.objectives)]
    named += [(("constraints", place), each.metric) for place, each in enumerate(spec.constraints)]
    for place, metric in named:
        if metric in MEASURED:
            message = (
                f"{metric} is measured where the model is to run, and the study does not say "
                "where; add deployment: {device: cpu} or {device: cuda}, or use another metric"
            )
            yield Problem((*place, "metric"), message)


def _unmeasurable(deployment: Deployment) -> Iterator[Problem]:
    """What of a deployment no worker can measure."""
    if (reason := unsupported(deployment)) is not None:
        yield Problem(("deployment", "precision"), reason)
    if deployment.threads is not None and deployment.device == "cuda":
        message = "threads are those of a CPU; leave them out for device cuda"
        yield Problem(("deployment", "threads"), message)
