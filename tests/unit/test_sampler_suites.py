"""Our samplers for any space pass Optuna's own test suites."""

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from tests.unit.samples import study
from tuner import catalog

# The suites provoke warnings of Optuna's own on purpose.
pytestmark = pytest.mark.filterwarnings("ignore")


class TestRandom(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours, as Optuna's suite wants it."""
        return lambda: catalog.load("sampler", "random").build(study(), 0)


class TestTpe(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours for a space with conditions, so that groups are on."""
        return lambda: catalog.load("sampler", "tpe").build(study(), 0, startup=0)


class TestTpeOfAPlainSpace(RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours without groups, whose relative draws may be asked for directly."""
        plain = study(space={"augment.rotate": {"int": [0, 30]}})
        return lambda: catalog.load("sampler", "tpe").build(plain, 0, startup=0)
