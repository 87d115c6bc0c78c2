"""A server and its workers for all tests that kill none of them and need no settings of their own.

A server takes seconds to start, and a trainer takes longer than what most tests train on it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.cluster import Cluster, cluster


@pytest.fixture(scope="package")
def shared_town(
    tmp_path_factory: pytest.TempPathFactory, new_sqlite: Callable[[Path], str]
) -> Iterator[Cluster]:
    """A server with the workers `one` and `two`, and with the studies of other tests."""
    folder = tmp_path_factory.mktemp("town")
    with cluster(folder, new_sqlite(folder)) as town:
        for name in ("one", "two"):
            town.start_worker(name)
        yield town
