"""Every trial drawn alone, evenly over the space: the baseline that a search has to beat."""

from optuna.samplers import BaseSampler, RandomSampler

from tuner.spec.study import StudySpec


def build(spec: StudySpec, seed: int) -> BaseSampler:
    """Give the sampler; `seed` fixes its next draw."""
    return RandomSampler(seed=seed)
