"""The short version of `python -m benchmarks.chaos`: some faults of every kind, on SQLite."""

from pathlib import Path

import pytest

from benchmarks.chaos.__main__ import Plan, run

SHORT = Plan(minutes=0.2, faults=32, seed=1, workers=2, epochs=24, lease=2.0)


@pytest.mark.timeout(600)
def test_no_fault_loses_doubles_or_changes_a_number(tmp_path: Path, sqlite_url: str) -> None:
    """Processes killed and stopped, connections and disks broken: all is as if nothing had been."""
    result = run(tmp_path, sqlite_url, SHORT)

    assert {name: [] for name in result.checks} == result.checks
    assert result.trials > 0
    assert 32 <= result.faults.total()
