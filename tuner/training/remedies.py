"""What to do about a training that cannot go on, for the messages of its errors."""

from tuner.configs import single_value
from tuner.spec.config import TrialConfig


def out_of_memory(config: TrialConfig, *, may_shrink: bool) -> str:
    """Where a micro-batch does not fit."""
    if may_shrink:
        return "use a smaller model, dataset.size or another device"
    if config.training.micro_batch is not None:
        return "training.micro_batch is set, so it is not made smaller; set less, or null"
    if config.training.determinism != "exact":
        return (
            "beside other trials and among several GPUs it is not made smaller; give the trial a "
            "device of its own, or set training.micro_batch"
        )
    return (
        "determinism exact keeps the micro-batch that a trial began with; give it a device "
        "with more memory, or set training.micro_batch"
    )


def one_value(config: TrialConfig, at_once: int, gpus: int) -> str:
    """Where batch norm met one value per channel, with `at_once` images in the network."""
    cause = single_value.cause(config.model, config.dataset.size)
    cause = cause or "the network leaves one value per channel of an image"
    why = single_value.single(config.training, at_once, gpus) or "an image passes alone"
    remedy = single_value.remedy(cause)
    return f"{why}, and {cause}, from which batch norm cannot learn; {remedy}"
