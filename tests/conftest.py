"""Plumbing for every test: pytest processes on all cores, one thread in each, no settings."""

import gc
import os
from itertools import chain

import pytest

pytest_plugins = [
    "tests.browsers", "tests.clusters", "tests.databases", "tests.distributions", "tests.engines",
]  # fmt: skip
SLOW = {"end_to_end", "fleet"}  # folders of tests that start processes which train
SHARED = "shared_town"

# Before anything imports torch: the pytest processes are the parallelism. What a test starts
# inherits it, and inherits no SEGTUNE_* of the developer's either, except where real data lies.
os.environ.setdefault("OMP_NUM_THREADS", "1")
for _name in [name for name in os.environ if name.startswith("SEGTUNE_")]:
    if not _name.startswith("SEGTUNE_TEST_"):
        del os.environ[_name]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Cores that this process may use; the machine may have more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pytest_collection_finish() -> None:
    """Let the collector pass over what lives to the end: torch, and ten thousand tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every pytest process begin with its share of the minutes-long tests.

    Those that share a server and its workers go to one process. Each gets a run of tests that lie
    side by side; what is left at the end is quickly shared.
    """
    slow = [item for item in items if item.path.parent.name in SLOW]
    rest = [item for item in items if item.path.parent.name not in SLOW]
    shared = [item for item in slow if SHARED in getattr(item, "fixturenames", ())]
    turns = [shared, *([item] for item in slow if item not in shared)]
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ends = [index * len(rest) // count for index in range(count + 1)]
    items[:] = [
        item
        for index in range(count)
        for item in (*chain(*turns[index::count]), *rest[ends[index] : ends[index + 1]])
    ]
