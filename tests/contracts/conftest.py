"""Component files find their contract: a test that takes `loss` runs for every loss."""

from typing import Any

import pytest
import torch

from tuner.configs import catalog
from tuner.configs.traits import LossTraits

# Losses that look at a teacher are called otherwise, and have a suite of their own.
TAUGHT = [
    ("loss", name) for name, traits in catalog.all_traits(LossTraits).items() if traits.teacher
]


def pytest_generate_tests(metafunc: Any) -> None:
    """Run a test once per component of the kind that it takes as an argument.

    Classes are suites of others, whose fixtures only share the name.
    """
    for kind in catalog.FOLDERS:
        if kind in metafunc.fixturenames and metafunc.cls is None:
            others = [name for name in catalog.names(kind) if (kind, name) not in TAUGHT]
            metafunc.parametrize(kind, others)
    if "taught" in metafunc.fixturenames:
        metafunc.parametrize("taught", [name for _, name in TAUGHT])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
