"""Counted randomness: every draw is a pure function of its position, so nothing is carried along.

The generator is SplitMix64 (Steele, Lea and Flood 2014) over a hashed key. It is written out here
because NumPy and torch do not promise the same stream from version to version.
"""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def seed_of(*key: int | str) -> int:
    """A 63-bit seed that depends on every part of the key."""
    digest = sha256("/".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def uniforms(*key: int | str, indices: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) of shape (len(indices), count); each depends on key, index and column."""
    columns = np.arange(1, count + 1, dtype=np.uint64)
    counters: NDArray[np.uint64] = indices.astype(np.uint64)[:, None] * np.uint64(count) + columns
    start: NDArray[np.uint64] = np.full((1, 1), seed_of(*key), dtype=np.uint64)
    positions: NDArray[np.uint64] = np.add(start, np.multiply(counters, _GAMMA))
    bits = _mix(positions)
    shares: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return shares


def permutation(*key: int | str, length: int) -> NDArray[np.int64]:
    """An order of 0 … length-1 that depends on the key alone."""
    keys = uniforms(*key, indices=np.arange(length, dtype=np.int64), count=1)[:, 0]
    return np.argsort(keys, kind="stable").astype(np.int64)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX2
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed
