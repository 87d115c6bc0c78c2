"""The outbox: everything written is read again, in order, whatever was torn off its end."""

import errno
import os
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.fake_server import assignment
from tuner.spec.deployment import Measured, Measurements
from tuner.spec.messages import Outcome, OutcomeKind, Report
from workers import outbox
from workers.outbox import (
    Entry,
    FileEntry,
    MeasuredEntry,
    Outbox,
    OutcomeEntry,
    ReportEntry,
    create,
    leftovers,
)

SERVER, HOST = "http://127.0.0.1:1", "here"
numbers = st.floats(allow_nan=False, allow_infinity=False)
reports = st.builds(
    ReportEntry,
    report=st.builds(
        Report,
        step=st.integers(1, 1000),
        metrics=st.dictionaries(st.text(min_size=1, max_size=8), numbers, max_size=3),
        confusion=st.none() | st.just(((3, 1), (0, 2))),
    ),
)
files = st.builds(FileEntry, artifact=st.just("log"), path=st.just(Path("x/y.log")), step=st.none())
costs = st.builds(
    MeasuredEntry,
    measured=st.builds(
        Measured,
        measurements=st.builds(
            Measurements,
            **dict.fromkeys(["latency_ms", "latency_p95_ms", "throughput"], st.floats(0.1, 1e4)),
            memory_mb=st.floats(0, 1e5),
        ),
    ),
)
entries = st.lists(reports | files | costs, max_size=8)


def reopened(root: Path) -> Outbox:
    """The only outbox below a folder, as the next agent finds it."""
    (found,) = leftovers(root, server=SERVER, host=HOST)
    return found


def written(root: Path, content: list[Entry]) -> Path:
    """Write an outbox as an agent that is then killed; its file of entries."""
    box = create(root, assignment(), server=SERVER, host=HOST)
    for entry in content:
        box.append(entry)
    box.release()
    return box.folder / "entries.jsonl"


@settings(max_examples=20, deadline=None)  # each one syncs to the disk
@given(entries)
def test_what_is_written_is_read_again(content: list[Entry]) -> None:
    """Entries survive a restart, in order and without loss."""
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), content)
        box = reopened(Path(folder))
        assert box.entries == content
        box.release()


@settings(max_examples=30, deadline=None)
@given(entries, st.data())
def test_a_torn_write_costs_only_itself(content: list[Entry], data: st.DataObject) -> None:
    """Cut anywhere, the file gives every entry that was whole, and can be written on."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), content)
        whole = path.read_bytes() if path.exists() else b""
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        box = reopened(Path(folder))
        count = whole[:cut].count(b"\n")
        assert box.entries == content[:count]
        last = ReportEntry(report=Report(step=9, metrics={}))
        box.append(last)
        box.release()
        again = reopened(Path(folder))
        assert again.entries == [*content[:count], last]
        again.release()


def test_an_outcome_completes_it(tmp_path: Path) -> None:
    """Only an outbox with its outcome is complete."""
    box = create(tmp_path, assignment(), server=SERVER, host=HOST)
    complete = [box.is_complete]
    box.append(OutcomeEntry(outcome=Outcome(kind=OutcomeKind.COMPLETED)))
    complete.append(box.is_complete)
    box.remove()
    assert complete == [False, True]


def test_the_last_step_counts_earlier_attempts(tmp_path: Path) -> None:
    """Without a report of its own, an attempt stands where the one before it ended."""
    box = create(tmp_path, assignment(last_step=4), server=SERVER, host=HOST)
    assert box.last_step == 4
    box.append(ReportEntry(report=Report(step=5, metrics={})))
    assert box.last_step == 5
    box.remove()


def test_a_living_agents_outbox_is_left_alone(tmp_path: Path) -> None:
    """An outbox that somebody holds is nobody's leftover."""
    box = create(tmp_path, assignment(), server=SERVER, host=HOST)
    assert list(leftovers(tmp_path, server=SERVER, host=HOST)) == []
    box.remove()


def test_another_servers_outbox_is_left_alone(tmp_path: Path) -> None:
    """Reports go to the server that gave the lease, and to no other."""
    create(tmp_path, assignment(), server=SERVER, host=HOST).release()
    assert list(leftovers(tmp_path, server="http://127.0.0.1:2", host=HOST)) == []
    assert list(leftovers(tmp_path, server=SERVER, host="elsewhere")) == []
    reopened(tmp_path).remove()


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    """Folder, files and lock go together."""
    box = create(tmp_path, assignment(), server=SERVER, host=HOST)
    (box.files / "checkpoint.pt").write_bytes(b"state")
    box.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_for_the_owner_only(tmp_path: Path) -> None:
    """The header holds the lease's token, so that others may not read it."""
    box = create(tmp_path, assignment(), server=SERVER, host=HOST)
    assert (box.folder / "header.json").stat().st_mode & 0o077 == 0
    box.remove()


def test_a_lease_never_becomes_a_path(tmp_path: Path) -> None:
    """A lease's name comes from outside."""
    box = create(tmp_path, assignment("../../evil"), server=SERVER, host=HOST)
    assert box.folder.parent == tmp_path
    box.remove()


def test_an_outbox_that_cannot_be_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk may take a folder and no header; the next try finds the lock free."""

    def refuse(path: Path, *, mode: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "replacing", refuse)
        with pytest.raises(OSError, match="No space"):
            create(tmp_path, assignment(), server=SERVER, host=HOST)
    assert list(tmp_path.iterdir()) == []
    create(tmp_path, assignment(), server=SERVER, host=HOST).remove()


def test_what_died_before_its_header_is_deleted(tmp_path: Path) -> None:
    """Unless it is young: then another agent may be about to write the header."""
    old, young = tmp_path / "old", tmp_path / "young"
    for folder in (old, young):
        (folder / "files").mkdir(parents=True)
    os.utime(old, (0, 0))
    assert list(leftovers(tmp_path, server=SERVER, host=HOST)) == []
    assert list(tmp_path.iterdir()) == [young]


def test_what_is_held_is_not_deleted(tmp_path: Path) -> None:
    """An agent that stood still for hours before it wrote its header lives, and has the lock."""
    box = create(tmp_path, assignment(), server=SERVER, host=HOST)
    (box.folder / "header.json").unlink()
    os.utime(box.folder, (0, 0))
    assert list(leftovers(tmp_path, server=SERVER, host=HOST)) == []
    assert box.files.exists()
    box.remove()


def test_a_refusal_is_kept_though_old_ones_cannot_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker of the machine may be deleting the same files."""

    def refuse(folder: Path) -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, "No such file", str(folder))

    monkeypatch.setattr(outbox, "_forget_oldest", refuse)
    box = create(tmp_path, assignment(), server=SERVER, host=HOST)
    kept = box.set_aside(box.entries, "no")
    box.remove()
    assert kept is not None
    assert kept.exists()
