"""The places of a worker for trials: what lets another one in, and what keeps it out."""

from pathlib import Path

import pytest

from tests.workers.fake_server import CONFIG, assignment
from tuner.spec.config import TrialConfig
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Device, Outcome, OutcomeKind, Report, Unfitness
from workers import needs
from workers.outcomes import may_have_run_out
from workers.packing import Pool
from workers.protocol import Heartbeat, MemoryHeld, Reported
from workers.slots import Slots, Stay, Surroundings

GPU = Device(kind="cuda", name="H100", memory_gb=80)
DONE = Outcome(kind=OutcomeKind.COMPLETED, step=1)
OUT = Outcome(kind=OutcomeKind.FAILED, error="no memory", error_kind=ErrorKind.OUT_OF_MEMORY)
OTHER = CONFIG.model_copy(update={"training": CONFIG.training.model_copy(update={"batch_size": 2})})


class Place:
    """Slots on a GPU with 80 GB, whose trials take what a test says."""

    def __init__(self, folder: Path, most: int = 4) -> None:
        self.now, self.folder = 0.0, folder
        self.pools = {"device": Pool(80_000, 80_000), "host": Pool(64_000, 60_000)}
        around = Surroundings(GPU, lambda: self.pools, folder, lambda: self.now)
        self.slots = Slots(most, around)

    def may_ask(self, slot: int = 9) -> bool:
        """Whether a slot without a trial may ask for one."""
        with self.slots.turn(slot) as is_ours:
            return is_ours

    def admit(self, number: int, *, config: TrialConfig = CONFIG, study: int = 1) -> Stay | None:
        """Let a trial come into the slot of its number."""
        given = assignment(trial=number, study_id=study, config=config)
        return self.slots.admit(number, given)

    def train(self, stay: Stay | None, device: float, host: float = 1000.0) -> None:
        """An epoch of a trial that takes so many MiB, which are not free any more."""
        assert stay is not None
        for event in (
            Heartbeat(stage="step"),
            MemoryHeld(mib=device),
            Reported(report=Report(step=1, metrics={})),
        ):
            stay.watch(event, lambda: host)
        taken = {"device": device, "host": host}
        self.pools = {
            name: Pool(pool.total, pool.free - taken[name]) for name, pool in self.pools.items()
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A GPU on which nothing is known."""
    return Place(tmp_path)


def test_trials_are_packed_as_far_as_they_fit(place: Place) -> None:
    """Of 80 GB 4 stay free, and each trial of 20 counts with a tenth more."""
    for number in (1, 2, 3):
        assert place.may_ask()
        place.train(place.admit(number), device=20_000)
    assert not place.may_ask()


def test_a_trial_of_another_kind_is_taken_for_the_largest_of_its_study(place: Place) -> None:
    """It is let in by that, and nobody after it before it was measured itself."""
    place.train(place.admit(1), device=20_000)
    stay = place.admit(2, config=OTHER)
    assert stay is not None
    assert (stay.beside, stay.is_shared) == (1, True)
    assert not place.may_ask()
    place.train(stay, device=5_000)
    assert place.may_ask()


def test_a_trial_of_another_study_needs_half_of_the_device(place: Place) -> None:
    """It comes where so much is left; nothing of its study was measured here."""
    place.train(place.admit(1), device=20_000)
    assert place.admit(2, config=OTHER, study=2) is not None
    crowded = Place(place.folder)
    crowded.train(crowded.admit(1), device=35_000)
    assert crowded.admit(2, config=OTHER, study=2) is None


def test_one_large_trial_is_not_remembered_for_ever(place: Place) -> None:
    """What the last trials needed says what the next one may need."""
    place.train(place.admit(1), device=60_000)
    place.slots.leave(1, DONE)
    place.pools = {**place.pools, "device": Pool(80_000, 40_000)}
    asked = []
    for number in range(2, 11):
        place.train(place.admit(number, config=OTHER), device=100)
        asked.append(place.may_ask())
        place.slots.leave(number, DONE)
    assert asked == [False] * 7 + [True] * 2


def test_what_earlier_workers_measured_is_known(place: Place, tmp_path: Path) -> None:
    """Two trials that are known come one after the other, before either was measured again."""
    needs.remember(tmp_path, CONFIG, GPU, {"device": 30_000, "host": 1000})
    assert place.admit(1) is not None
    assert place.may_ask()
    assert place.admit(2) is not None
    assert not place.may_ask()  # though neither has taken anything yet


def test_a_trial_that_does_not_say_what_it_takes_has_no_company(place: Place) -> None:
    """Its main memory alone, or nothing at all, is not enough to go by."""
    stay = place.admit(1)
    assert stay is not None
    stay.watch(Reported(report=Report(step=1, metrics={})), lambda: 1000.0)
    assert not place.may_ask()
    stay.watch(Reported(report=Report(step=2, metrics={})), lambda: None)
    assert not place.may_ask()


def test_what_was_given_back_is_waited_for_ten_minutes(place: Place, tmp_path: Path) -> None:
    """By then another worker may have it, and what waits now may be small."""
    needs.remember(tmp_path, OTHER, GPU, {"device": 75_000, "host": 1000})
    place.train(place.admit(1), device=1_000)
    small = needs.recall(tmp_path, CONFIG, GPU)
    assert small == {"device": 1_000, "host": 1000}
    assert place.admit(2, config=OTHER) is None
    place.now = 599
    assert not place.may_ask()
    place.now = 601
    assert place.may_ask()


def test_slots_that_ran_out_come_back_one_by_one(place: Place) -> None:
    """Three trials, one of which gets no memory: one at a time, until many have ended well."""
    stays = [place.admit(number) for number in (1, 2, 3)]
    assert stays[1:] == [None, None]  # nothing was measured yet
    place.train(stays[0], device=100)
    place.train(place.admit(2), device=100)
    stay = place.admit(3)
    place.train(stay, device=100)
    assert stay is not None
    given_back = stay.read(OUT)
    assert (given_back.kind, given_back.error_kind) == (OutcomeKind.YIELDED, "out_of_memory")
    assert place.slots.limit.now == 1
    place.slots.leave(3, given_back)
    assert place.admit(3) is None  # it waits for the others' end
    for number in (1, 2):
        place.slots.leave(number, DONE)
    again = place.admit(3)
    assert again is not None
    assert (again.is_shared, again.beside) == (False, 0)
    assert again.read(OUT) == OUT
    place.slots.leave(3, OUT)
    for number in range(20):
        place.slots.admit(1, assignment(trial=number + 10))
        place.slots.leave(1, DONE)
    assert place.slots.limit.now == 2


def test_one_slot_learns_nothing(tmp_path: Path) -> None:
    """A worker of one slot shares nothing, writes no note, and changes no outcome."""
    place = Place(tmp_path, most=1)
    stay = place.admit(1)
    place.train(stay, device=100)
    assert stay is not None
    assert not stay.is_shared
    assert stay.read(OUT) == OUT
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_nobody_from_training(tmp_path: Path) -> None:
    """What was measured is known to this worker, if to no other."""
    file = tmp_path / "file"
    file.write_text("in the way of a folder")
    place = Place(file)
    place.train(place.admit(1), device=20_000)
    assert place.may_ask()


def test_the_first_free_slot_asks(place: Place) -> None:
    """Its trainer is warm; one that is in trouble keeps no other from asking."""
    with place.slots.turn(2) as is_second, place.slots.turn(1) as is_first:
        assert (is_second, is_first) == (True, False)  # one at a time
    assert not place.may_ask(3)  # slot 1 waits
    assert place.may_ask(1)
    assert place.may_ask(3)


@pytest.mark.parametrize(
    ("kind", "error", "error_kind", "may"),
    [
        (OutcomeKind.FAILED, "CUDA out of memory", ErrorKind.OUT_OF_MEMORY, True),
        (OutcomeKind.CRASHED, "ended with signal SIGKILL (out of memory?)", ErrorKind.CRASH, True),
        (OutcomeKind.CRASHED, "ended with signal SIGSEGV", ErrorKind.CRASH, False),
        (OutcomeKind.CRASHED, None, ErrorKind.CRASH, False),
        (OutcomeKind.HUNG, "SIGKILL", ErrorKind.HANG, False),
        (OutcomeKind.YIELDED, "CUBLAS_STATUS_NOT_INITIALIZED", Unfitness.DEVICE, True),
        (OutcomeKind.YIELDED, "no space left on device", Unfitness.MACHINE, False),
        (OutcomeKind.FAILED, "loss is not finite", ErrorKind.DIVERGED, False),
        (OutcomeKind.COMPLETED, None, None, False),
    ],
)
def test_memory_may_be_why_an_attempt_ended(
    kind: OutcomeKind, error: str | None, error_kind: str | None, may: bool
) -> None:
    """As torch, the system or a library of CUDA says it."""
    assert may_have_run_out(Outcome(kind=kind, error=error, error_kind=error_kind)) is may
