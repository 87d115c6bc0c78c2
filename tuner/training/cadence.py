"""When a checkpoint is worth its time."""

from time import perf_counter

# Of a run's time, at most this share goes into checkpoints that nobody waits for.
_SHARE = 0.02
# Copied, packed and flushed to a disk, by a guess until the first one is measured.
_BYTES_PER_SECOND = 500 * 2**20


class Cadence:
    """Lets a checkpoint wait until what it saves is worth what it costs, or `most` seconds at most.

    What a killed run loses is time only: the epochs since its last checkpoint are trained again,
    to the same numbers.
    """

    def __init__(self, size: int, *, most: float) -> None:
        """Take the bytes of a checkpoint, as far as they are known before the first one."""
        self._most = most
        self._cost = size / _BYTES_PER_SECOND
        self._last = perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint of this moment is worth its time."""
        return perf_counter() - self._last >= min(self._cost / _SHARE, self._most)

    def saved(self, seconds: float) -> None:
        """Say that a checkpoint was written, and how long that took."""
        self._last, self._cost = perf_counter(), seconds
