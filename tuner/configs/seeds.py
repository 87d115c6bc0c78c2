"""Every seed of a study: a function of the study's own seed and of what it is for, nothing else.

The numbers never change, because stored studies are repeated by them. What a training draws from
its config's seed is counted in `tuner.training.draws`.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tuner.configs.resolve import resolve
from tuner.spec.config import TrialConfig
from tuner.spec.study import StudySpec

_LIMIT = 2**31  # what a config's seed is below


def trial_config(spec: StudySpec, params: Mapping[str, Any], number: int) -> TrialConfig:
    """The full config of the trial of that number. Raises InvalidSpec."""
    seed = trial_seed(spec.search.seed, number)
    config = resolve(spec.base, spec.dataset, params, seed=seed)
    return config.model_copy(update={"best_by": spec.best_by})


def trial_seed(study_seed: int, number: int) -> int:
    """The seed that a trial trains with: its own, and the same whenever the study is repeated."""
    return (study_seed * 1_000_003 + number * 7_919 + 1) % _LIMIT


def draw_seed(study_seed: int, number: int, attempt: int = 0) -> int:
    """The seed of one draw of a trial's params, of 32 bits."""
    return _hashed(study_seed, number, attempt)


def fresh_seeds(study_seed: int, count: int) -> tuple[int, ...]:
    """The seeds with which leaders are confirmed, by their place."""
    return tuple(_hashed(study_seed, "confirm", place) % _LIMIT for place in range(count))


def _hashed(*parts: int | str) -> int:
    """32 bits that depend on every part."""
    digest = sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
