"""The recipe by which a network that lost something learns to do without it."""

from tuner.spec.config import TrialConfig


def fine_tuning(config: TrialConfig, *, weights: str, epochs: int, rate: float) -> TrialConfig:
    """The config that trained a model, from `weights` on, for fewer epochs at a share of its rate.

    The encoder learns from the first epoch on, since it was changed too.
    """
    model = config.model.model_copy(update={"weights": weights, "freeze_epochs": 0})
    optimizer = config.optimizer.model_copy(update={"lr": config.optimizer.lr * rate})
    training = config.training.model_copy(update={"epochs": epochs})
    changed = {"model": model, "optimizer": optimizer, "training": training, "changes": ()}
    return config.model_copy(update=changed)
