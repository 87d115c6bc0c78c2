"""Whose fault a trial's return is, and how long its worker is left in peace."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.service import faults
from tuner.service.faults import CONTENT, LONGEST, TRIES, Ruling
from tuner.spec.messages import Unfitness

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KINDS = st.sampled_from([*Unfitness, CONTENT])
COUNTS = st.integers(0, 50)


@given(KINDS, COUNTS, st.booleans(), COUNTS)
def test_one_worker_alone_never_ends_a_study(
    kind: str, tries: int, trained: bool, others: int
) -> None:
    """What a single worker says waits; it ends its trial at most, and only after many tries."""
    ruling = faults.decide(kind, agreeing=1, others=others > 0, trained=trained, tries=tries)
    assert ruling is (
        Ruling.FAIL_TRIAL
        if tries >= TRIES and kind not in {Unfitness.DATA, Unfitness.WEIGHTS, Unfitness.PACKAGE}
        else Ruling.WAIT
    )


@given(KINDS, st.integers(2, 50), st.booleans(), st.integers(0, TRIES - 1))
def test_nothing_ends_while_another_worker_may_train_it(
    kind: str, agreeing: int, trained: bool, tries: int
) -> None:
    """However many are broken, the trial waits for the one that may be whole."""
    ruling = faults.decide(kind, agreeing=agreeing, others=True, trained=trained, tries=tries)
    assert ruling is Ruling.WAIT


@pytest.mark.parametrize(
    ("kind", "trained", "ruling"),
    [
        (Unfitness.DATA, False, Ruling.FAIL_STUDY),
        (Unfitness.DATA, True, Ruling.WAIT),  # it was there, and may come back
        (Unfitness.PACKAGE, False, Ruling.FAIL_STUDY),
        (Unfitness.PACKAGE, True, Ruling.WAIT),  # it may be installed while the study waits
        (Unfitness.WEIGHTS, False, Ruling.FAIL_STUDY),
        (Unfitness.WEIGHTS, True, Ruling.FAIL_TRIAL),  # weights are the trial's own
        (CONTENT, True, Ruling.FAIL_TRIAL),
        (Unfitness.MACHINE, False, Ruling.WAIT),  # two full disks say nothing of a study
        (Unfitness.DEVICE, False, Ruling.WAIT),
    ],
)
def test_what_follows_when_all_workers_agree(kind: str, trained: bool, ruling: Ruling) -> None:
    """Two that say the same, and nobody else to ask."""
    found = faults.decide(kind, agreeing=2, others=False, trained=trained, tries=1)
    assert found is ruling


@given(st.integers(1, 10_000))
def test_pauses_grow_up_to_ten_minutes(count: int) -> None:
    """Each failure in a row leaves the worker in peace at least as long as the one before."""
    assert faults.pause(count) <= faults.pause(count + 1) <= LONGEST
    assert faults.pause(1) <= timedelta(seconds=5)


@given(
    st.sampled_from([Unfitness.DATA, Unfitness.WEIGHTS, Unfitness.PACKAGE, CONTENT]),
    st.integers(1, 30),
)
def test_a_worker_without_the_data_trains_other_studies(kind: str, count: int) -> None:
    """It is kept from the study whose files it lacks, until its pause is over."""
    known: dict[str, faults.Unfit] = {}
    for _ in range(count):
        known = faults.noted(known, kind, "gone", study_id=7, study="streets", now=NOW)
    assert faults.bars(known, 7, now=NOW)
    assert not faults.bars(known, 8, now=NOW)
    assert not faults.bars(known, 7, now=NOW + faults.pause(count))


@pytest.mark.parametrize("kind", [Unfitness.MACHINE, Unfitness.DEVICE])
def test_a_broken_machine_trains_no_study(kind: str) -> None:
    """A full disk or a lost GPU is in the way of every study alike."""
    known = faults.noted({}, kind, "full", study_id=7, study="streets", now=NOW)
    assert faults.bars(known, 7, now=NOW)
    assert faults.bars(known, 8, now=NOW)
    assert faults.described(known) == "full"


def test_success_forgets_what_it_disproves() -> None:
    """Training one study says nothing of the files of another."""
    known = faults.noted({}, Unfitness.DATA, "no root", study_id=7, study="streets", now=NOW)
    known = faults.noted(known, Unfitness.DATA, "no root", study_id=8, study="roofs", now=NOW)
    known = faults.noted(known, Unfitness.MACHINE, "full", study_id=8, study="roofs", now=NOW)
    left = faults.recovered(known, 8)
    assert faults.described(left) == "streets: no root"
    assert faults.recovered(left, 7) == {}


def test_a_trainer_that_does_not_start_is_forgotten_when_it_does() -> None:
    """Asking for work as usual takes back what was said; nothing else does."""
    known = faults.noted({}, Unfitness.DATA, "no root", study_id=7, study="streets", now=NOW)
    said = faults.asked(known, "TrainingError: no such library\nlog", now=NOW)
    assert faults.described(said) == "streets: no root; no such library"
    assert faults.asked(said, None, now=NOW) == known


@given(st.dictionaries(st.sampled_from(["", "7", "8"]), KINDS))
def test_a_row_gives_back_what_was_written(kinds: dict[str, str]) -> None:
    """Nothing is lost on the way through the database; what is too old does not count."""
    known = {about: faults.Unfit(kind=kind, reason="r", until=NOW) for about, kind in kinds.items()}
    assert faults.read(faults.written(known)) == known
    assert faults.read(faults.written(known), now=NOW + timedelta(days=1)) == {}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            "DataUnavailable: the root 'set' is not there\n\nTraceback",
            "the root 'set' is not there",
        ),
        ("a.png: cannot be read", "a.png: cannot be read"),
        ("", "it gave no reason"),
        (None, "it gave no reason"),
    ],
)
def test_a_reason_is_one_line(error: str | None, line: str) -> None:
    """Without the traceback, and without the name of the class."""
    assert faults.first_line(error) == line
