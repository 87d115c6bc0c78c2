"""Noise of what a training reports; the same training reports the same values again."""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from tuner.spec.space import Params


def deviates(task: str, params: Params, epochs: int) -> NDArray[np.float64]:
    """A standard normal deviate for each epoch, decided by the task and the params."""
    return generator(task, params).standard_normal(epochs)


def generator(task: str, params: Params) -> np.random.Generator:
    """A generator that the task and the params decide."""
    what = json.dumps([task, params], sort_keys=True).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(what).digest()[:8]))
