"""What a study asks of the place where its models are to run, and cannot be had."""

from collections.abc import Iterator

from tuner.errors import Problem
from tuner.spec.deployment import Deployment
from tuner.spec.metrics import MEASURED
from tuner.spec.study import StudySpec


def deployment_problems(spec: StudySpec) -> Iterator[Problem]:
    """Metrics that are measured at a place that is not said, and places where none can be."""
    if spec.deployment is not None:
        yield from _unmeasurable(spec.deployment)
        return
    for role, named in (("objectives", spec.objectives), ("constraints", spec.constraints)):
        for index, each in enumerate(named):
            if each.metric in MEASURED:
                message = (
                    f"{each.metric} is measured where the model is to run, and the study does not "
                    "say where; add deployment: {device: cpu} or {device: cuda}, or use another "
                    "metric"
                )
                yield Problem((role, index, "metric"), message)


def _unmeasurable(deployment: Deployment) -> Iterator[Problem]:
    """What of a deployment no worker of this release can measure."""
    if deployment.runtime == "onnxruntime":
        message = "workers measure in torch only; use runtime: torch"
        yield Problem(("deployment", "runtime"), message)
    if deployment.precision == "int8":
        message = "int8 needs runtime onnxruntime, which workers do not measure; use fp32 or bf16"
        yield Problem(("deployment", "precision"), message)
    if deployment.threads is not None and deployment.device == "cuda":
        message = "threads are those of a CPU; leave them out for device cuda"
        yield Problem(("deployment", "threads"), message)
