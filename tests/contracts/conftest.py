"""Component files find their contract: a test that takes `loss` runs for every loss."""

from typing import Any

import pytest
import torch

from tuner.configs import catalog


def pytest_generate_tests(metafunc: Any) -> None:
    """Run a test once per component of the kind that it takes as an argument.

    Classes are suites of others, whose fixtures only share the name.
    """
    for kind in catalog.FOLDERS:
        if kind in metafunc.fixturenames and metafunc.cls is None:
            metafunc.parametrize(kind, catalog.names(kind))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
