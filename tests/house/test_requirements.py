"""The pins, the ranges and the interpreter versions agree."""

import re
import tomllib
from importlib.metadata import requires, version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import text

PIN = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*( ; [^;]+)?")
PROJECT: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
TESTED = ("server", "worker", "insight", "dev")  # the extras that `make test` needs


def _pins() -> dict[str, Requirement]:
    lines = [line for line in text("requirements.lock").splitlines() if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, lines)}


def _ranges() -> list[Requirement]:
    optional = PROJECT["optional-dependencies"]
    return [
        Requirement(line)
        for line in PROJECT["dependencies"] + [line for extra in TESTED for line in optional[extra]]
    ]


def test_every_pin_is_plain() -> None:
    """The lock is sorted `name==version` lines: no address, no local build, no segtune."""
    lines = text("requirements.lock").splitlines()[1:]

    assert [] == [line for line in lines if not PIN.fullmatch(line)]
    assert sorted(lines) == lines
    assert "segtune" not in _pins()


@pytest.mark.parametrize("wanted", _ranges(), ids=lambda wanted: wanted.name)
def test_every_dependency_is_pinned_within_its_range(wanted: Requirement) -> None:
    """Each dependency that the tests need has a pin, and the pin lies in the range."""
    pin = _pins()[canonicalize_name(wanted.name)]
    (exact,) = pin.specifier

    assert exact.version in wanted.specifier


def test_torch_is_the_one_that_torchvision_was_built_for() -> None:
    """The torch pin fits what the pinned torchvision asks for, as installed here."""
    pins = _pins()
    (asked,) = (
        line for line in map(Requirement, requires("torchvision") or ()) if line.name == "torch"
    )

    assert f"=={version('torchvision')}" == str(pins["torchvision"].specifier)
    assert str(pins["torch"].specifier).removeprefix("==") in asked.specifier


def test_all_names_every_extra_for_users() -> None:
    """`segtune[all]` is every extra but the developers'."""
    (everything,) = (Requirement(line) for line in PROJECT["optional-dependencies"]["all"])
    extras = set(PROJECT["optional-dependencies"]) - {"all", "benchmarks", "dev"}

    assert extras == everything.extras
