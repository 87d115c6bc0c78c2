"""The places of a worker for trials: who asks next, what is there, what was learned.

Each slot is a thread that asks and trains; one of them asks at a time, and only when what is
measured leaves room for another trial (`packing` decides). With one slot none of it shows.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuner.spec.messages import Assignment, Device, Outcome
from tuner.wording import quantity
from workers import needs, outcomes, packing
from workers.packing import NOTHING, Amounts, Occupant, Pool, SlotLimit
from workers.protocol import Heartbeat, MemoryHeld, Reported

logger = logging.getLogger(__name__)
_Trial = tuple[int, int]  # id of its study, its number
_RECENT = 8  # trials whose needs say what the next one may need
_MEMORY_SECONDS = 600.0  # for which a trial that was given back is taken to be the next


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where trials are packed: the device, how to look at its memory, the folder of notes."""

    device: Device
    pools: Callable[[], Mapping[str, Pool]]
    cache: Path
    clock: Callable[[], float]


class Stay:
    """A trial in a slot: how it starts, what it takes, and how its end is read."""

    def __init__(
        self, slots: "Slots", assignment: Assignment, *, need: Amounts | None, is_alone: bool
    ) -> None:
        """`need` is what was measured of its like; alone means that nobody else may come."""
        self._slots, self.assignment, self.is_alone = slots, assignment, is_alone
        self.need, self.held = need, NOTHING
        self._gpu_mib: float | None = None
        self._most: Amounts = NOTHING
        self.beside = 0

    @property
    def trial(self) -> _Trial:
        """Which one it is."""
        return self.assignment.study_id, self.assignment.trial

    @property
    def is_shared(self) -> bool:
        """Whether others may come."""
        return self._slots.most > 1 and not self.is_alone

    @property
    def occupant(self) -> Occupant:
        """How `packing` sees it."""
        return Occupant(None if self.is_alone else self.need, self.held)

    def watch(self, event: object, host_mib: Callable[[], float | None]) -> None:
        """Look at the memory that it takes, when its trainer says that it has done something."""
        if self._slots.most == 1:
            return
        match event:
            case MemoryHeld(mib=mib):
                self._gpu_mib = mib
            case Heartbeat(stage="step") | Reported():
                self._look(host_mib())
        if isinstance(event, Reported) and self.held:
            self._slots.measured(self, self._most)

    def read(self, outcome: Outcome) -> Outcome:
        """The outcome, given back for another try alone where others may be why memory ran out."""
        return self._slots.read(self, outcome)

    def _look(self, host_mib: float | None) -> None:
        if host_mib is None:
            return
        now = {"host": host_mib} | ({"device": self._gpu_mib} if self._gpu_mib is not None else {})
        self.held, self._most = now, packing.largest([self._most, now])


class Slots:
    """All places of a worker; any thread may ask, under one lock."""

    def __init__(
        self, most: int, surroundings: Surroundings, *, max_trials: int | None = None
    ) -> None:
        """At most so many trials at once, and so many in all."""
        self.most = most
        self.limit = SlotLimit.begin(most)
        self._surroundings, self._left = surroundings, max_trials
        self._asking, self._lock = threading.Lock(), threading.RLock()
        self._waiting: set[int] = set()
        self._stays: dict[int, Stay] = {}
        self._recent: dict[_Trial, Amounts] = {}
        self._by_study: dict[int, Amounts] = {}
        self._alone: set[_Trial] = set()
        # What the next trial is taken to want, and until when: others may have it by then.
        self._wanted, self._wants_all, self._wanted_until = NOTHING, False, 0.0
        self.is_full = False
        self._since = surroundings.clock()

    @property
    def is_open(self) -> bool:
        """Whether there is another trial to be trained."""
        return self._left is None or self._left > 0

    @property
    def is_busy(self) -> bool:
        """Whether a trial is being trained."""
        return bool(self._stays)

    @property
    def idle(self) -> float:
        """Seconds since the last trial, or since the start; 0 while there is one."""
        with self._lock:
            return 0.0 if self.is_busy else self._surroundings.clock() - self._since

    def close(self) -> None:
        """Take no further trial."""
        self._left = 0

    # ── Before a trial ───────────────────────────────────────────────────────────────────────

    @contextmanager
    def turn(self, slot: int) -> Iterator[bool]:
        """Whether this slot may ask for a trial in the block; the first that is free does."""
        with self._lock:
            self._waiting.add(slot)
            is_first = slot == min(self._waiting)
        if not is_first or not self._asking.acquire(blocking=False):
            yield False
            return
        try:
            self.is_full = not self._has_room()
            yield self.is_open and not self.is_full
        finally:
            self._waiting.discard(slot)  # in trouble it does not keep others from asking
            self._asking.release()

    def admit(self, slot: int, assignment: Assignment) -> Stay | None:
        """A place for the trial in that slot; None where it must be given back for lack of room.

        What a network costs is measured on a device that does nothing else.
        """
        is_measured = self.most > 1 and assignment.measure is not None
        with self._lock:
            is_alone = (assignment.study_id, assignment.trial) in self._alone
            known = self._recall(assignment)
            if not self._takes(assignment, known, wants_all=is_alone or is_measured):
                return None
            stay = Stay(self, assignment, need=known, is_alone=is_alone)
            stay.beside = len(self._stays)
            self._stays[slot] = stay
            if known is not None:
                self._note(stay, known)
            self._expect(NOTHING, wants_all=is_measured)
            if self._left is not None:
                self._left -= 1
            return stay

    def _has_room(self) -> bool:
        with self._lock:
            occupants = [stay.occupant for stay in self._stays.values()]
            if not occupants:
                return True
            if self._surroundings.clock() > self._wanted_until:
                self._expect(NOTHING, wants_all=False)
            is_full = self._wants_all or len(occupants) >= self.limit.now
            if is_full or any(each.need is None for each in occupants):
                return False
            expected = packing.largest([self._most_recent(), self._wanted])
            return packing.fits(expected, self._surroundings.pools(), occupants)

    def _takes(self, assignment: Assignment, known: Amounts | None, *, wants_all: bool) -> bool:
        """Whether the trial fits beside those that are there; else its need is kept in mind."""
        occupants = [stay.occupant for stay in self._stays.values()]
        if not occupants:
            return True
        if wants_all or len(occupants) >= self.limit.now:
            self._expect(NOTHING, wants_all=wants_all)
            return False
        pools = self._surroundings.pools()
        of_study = self._by_study.get(assignment.study_id, NOTHING)
        need = known or packing.presumed(pools, of_study, self._most_recent())
        if packing.fits(need, pools, occupants):
            return True
        self._expect(need, wants_all=False)
        return False

    def _expect(self, need: Amounts, *, wants_all: bool) -> None:
        self._wanted, self._wants_all = need, wants_all
        self._wanted_until = self._surroundings.clock() + _MEMORY_SECONDS

    def _recall(self, assignment: Assignment) -> Amounts | None:
        if self.most == 1:
            return None
        place = self._surroundings
        return needs.recall(place.cache, assignment.config, place.device)

    def _most_recent(self) -> Amounts:
        return packing.largest(self._recent.values())

    def _note(self, stay: Stay, need: Amounts) -> None:
        stay.need = packing.largest([stay.need or NOTHING, need])
        self._recent = {**self._recent, stay.trial: stay.need}
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]

    # ── During and after it ──────────────────────────────────────────────────────────────────

    def measured(self, stay: Stay, need: Amounts) -> None:
        """Note what a trial has needed so far."""
        place, study = self._surroundings, stay.assignment.study_id
        with self._lock:
            self._note(stay, need)
            of_study = self._by_study.get(study, NOTHING)
            self._by_study[study] = packing.largest([of_study, need])
        try:
            needs.remember(place.cache, stay.assignment.config, place.device, need)
        except OSError as error:
            logger.warning("what a trial needs of the memory is not remembered: %s", error)

    def read(self, stay: Stay, outcome: Outcome) -> Outcome:
        """How a trial ended, given back where memory ran out on a device that it shared."""
        if self.most == 1 or not outcomes.may_have_run_out(outcome):
            return outcome
        with self._lock:
            trials = len(self._stays)
            if trials > 1:
                self.limit = self.limit.ran_out(trials)
                logger.warning(
                    "memory ran out with %s at once; from now on %d",
                    quantity(trials, "trial"),
                    self.limit.now,
                )
            if stay.is_alone:
                return outcome
            self._alone.add(stay.trial)
            return outcomes.retried_alone(outcome, beside=trials - 1)

    def leave(self, slot: int, outcome: Outcome | None) -> None:
        """Free the slot."""
        with self._lock:
            stay = self._stays.pop(slot)
            self._since = self._surroundings.clock()
            if stay.is_alone:
                self._alone.discard(stay.trial)
            elif outcome is not None and not outcomes.may_have_run_out(outcome):
                self.limit = self.limit.ended_well()
