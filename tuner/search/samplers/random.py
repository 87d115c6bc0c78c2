"""Every trial drawn alone, evenly over the space: the baseline that a search has to beat."""

from optuna.samplers import BaseSampler, RandomSampler

from tuner.search.rules import Rules


def build(rules: Rules, seed: int) -> BaseSampler:
    """Give the sampler; `seed` fixes its next draw."""
    return RandomSampler(seed=seed)
