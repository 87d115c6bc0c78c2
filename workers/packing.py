"""Whether a worker takes another trial beside those that it trains: pure decisions.

All amounts were measured. They are in MiB by the pool that they come from: `device`, a GPU's
memory, and `host`, the machine's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType

Amounts = Mapping[str, float]
NOTHING: Amounts = MappingProxyType({})
SPARE = 0.05  # of a pool stays free
SLACK = 1.1  # a trial may come to need more than it ever has
MOST = 16  # trials at once, unless a user says more
_TRIALS_ON_A_CPU = 4
_PATIENCE = 8  # trials that end well until one more is tried; twice as many after each setback
_LONGEST_PATIENCE = 128


@dataclass(frozen=True, slots=True)
class Pool:
    """Memory of one place: what there is, and what nobody has taken, other processes included."""

    total: float
    free: float


@dataclass(frozen=True, slots=True)
class Occupant:
    """A trial that is being trained: what it needs at most, None while that is not known."""

    need: Amounts | None
    held: Amounts = field(default_factory=dict)


def fits(need: Amounts, pools: Mapping[str, Pool], occupants: Sequence[Occupant]) -> bool:
    """Whether every pool holds another trial, with what those that are there will still take.

    An empty place holds any. One where somebody's need is not known, or of which the need is not
    known itself, holds nobody else.
    """
    if not occupants:
        return True
    needs = [each.need for each in occupants]
    if not pools or any(one is None for one in needs):
        return False
    return all(
        SLACK * need.get(name, inf) <= _left(name, pool, occupants) for name, pool in pools.items()
    )


def _left(name: str, pool: Pool, occupants: Sequence[Occupant]) -> float:
    coming = sum(
        max(0.0, SLACK * (each.need or NOTHING).get(name, inf) - each.held.get(name, 0.0))
        for each in occupants
    )
    return pool.free - SPARE * pool.total - coming


def largest(many: Iterable[Amounts]) -> Amounts:
    """The most of each pool that any of them needs."""
    found: dict[str, float] = {}
    for amounts in many:
        found |= {name: max(amount, found.get(name, 0.0)) for name, amount in amounts.items()}
    return found


def presumed(pools: Mapping[str, Pool], of_its_study: Amounts, of_any: Amounts) -> Amounts:
    """What a trial is taken to need of which nothing was measured: as much as any of its study.

    Where no trial of its study was measured either, half of the device, and of the host as much
    as any trial so far.
    """
    half = {name: pool.total / 2 for name, pool in pools.items()}
    if "device" in half and "host" in of_any:
        half["host"] = of_any["host"]
    return {**half, **of_its_study}


@dataclass(frozen=True, slots=True)
class SlotLimit:
    """Trials at once that a worker may have by what it has been through; never fewer than one."""

    most: int
    now: int
    patience: int = _PATIENCE
    well: int = 0

    @classmethod
    def begin(cls, most: int) -> "SlotLimit":
        """Nothing has gone wrong yet."""
        return cls(most, most)

    def ran_out(self, trials: int) -> "SlotLimit":
        """Memory ran out while there were so many: half of them, for longer than the last time."""
        patience = min(2 * self.patience, _LONGEST_PATIENCE)
        return replace(self, now=max(1, min(self.now, trials // 2)), patience=patience, well=0)

    def ended_well(self) -> "SlotLimit":
        """A trial has ended otherwise: after enough of them one more is tried."""
        if self.now == self.most:
            return self
        if self.well + 1 < self.patience:
            return replace(self, well=self.well + 1)
        return replace(self, now=self.now + 1, well=0)


@dataclass(frozen=True, slots=True)
class Division:
    """A worker's cores among its trials: at most so many, each with so many threads."""

    most: int
    threads: int


def divided(slots: int | None, cores: int, threads: int | None, *, is_gpu: bool) -> Division:
    """Of a worker with so many cores; `slots` None leaves the number to it.

    A trial on a CPU is not given fewer threads when another comes, because its numbers depend on
    them: there, threads that are not set are a fourth of the cores.
    """
    if slots is not None:
        return Division(slots, threads or max(1, cores // slots))
    each = threads or max(1, cores // _TRIALS_ON_A_CPU)
    return Division(max(1, min(MOST, cores if is_gpu else cores // each)), each)
