"""Data that is decoded once for all tests of the loop."""

from pathlib import Path

import pytest

from tests.training import samples
from tuner.training.data.load import Data, load


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The synthetic scenes of `samples.config()`."""
    cache: Path = tmp_path_factory.mktemp("cache")
    return load(samples.config().dataset, cache=cache)
