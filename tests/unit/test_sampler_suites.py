"""Our samplers pass Optuna's own test suites; that of gp stands with its contract."""

from collections.abc import Callable
from typing import Any

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from tests.unit.samples import study
from tuner.configs import catalog
from tuner.search.rules import Rules

# The suites provoke warnings of Optuna's own on purpose.
pytestmark = pytest.mark.filterwarnings("ignore")

PLAIN = {"augment.rotate": {"int": [0, 30]}}


def maker(name: str, space: dict[str, Any] | None = None, **options: Any) -> Callable[[], Any]:
    """What makes our sampler for a space with conditions, unless another is given."""
    spec = study() if space is None else study(space=space)
    return lambda: catalog.load("sampler", name).build(Rules(spec), 0, **options)


class TestRandom(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours, as Optuna's suite wants it."""
        return maker("random")


class TestTpe(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours for a space with conditions, so that groups are on."""
        return maker("tpe", startup=0)


class TestTpeOfAPlainSpace(RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours without groups, whose relative draws may be asked for directly."""
        return maker("tpe", PLAIN, startup=0)


class TestRungTpe(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours for a space with conditions, fitted as soon as there are two results."""
        return maker("rung_tpe", results=2)


class TestGrid(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours for a space that the suites' params do not belong to."""
        return maker("grid", PLAIN)


class TestQmc(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours with its defaults."""
        return maker("qmc")


class TestCmaes(BasicSamplerTestCase, RelativeSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours for a space that leaves the suites' params to them."""
        return maker("cmaes", {}, startup=0)


class TestCmaesOfOneObjective(SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours for a space that has something to evolve."""
        return maker("cmaes", PLAIN, startup=0)


class TestNsga2(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours with generations that are soon over."""
        return maker("nsga2", population=2)


class TestNsga3(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Ours with generations that are soon over."""
        return maker("nsga3", population=2)
