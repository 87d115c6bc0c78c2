"""The pins, the ranges and the interpreter versions agree."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires, version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT, text

PIN = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*( ; [^;]+)?")
PROJECT: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
TESTED = ("server", "worker", "tiff", "insight", "dev")  # the extras that `make test` needs
# Comes with the torch of the machine.
GIVEN = {
    *("torch", "torchvision", "numpy", "triton", "sympy", "mpmath", "networkx", "setuptools"),
    *("cuda-bindings", "cuda-pathfinder", "segtune"),
}
_IMPORTED = """
import importlib, pkgutil, sys
from importlib.metadata import packages_distributions
import benchmarks.training, pynvml, pytest, pytest_timeout, segmentation_models_pytorch
import tests.gpu
for module in pkgutil.iter_modules(tests.gpu.__path__, "tests.gpu."):
    importlib.import_module(module.name)
owners = packages_distributions()
print(*{name for module in {key.partition(".")[0] for key in sys.modules}
        for name in owners.get(module, ())})
"""


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


def test_the_gpu_list_is_whole() -> None:
    """All that `make gpu` imports is in requirements-gpu.txt, pinned as everywhere else."""
    listed = [line for line in text("requirements-gpu.txt").splitlines() if line[0] != "#"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _IMPORTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    imported = {canonicalize_name(name) for name in done.stdout.split()}

    assert [] == [line for line in listed if line not in text("requirements.lock").splitlines()]
    assert imported <= GIVEN | {canonicalize_name(Requirement(line).name) for line in listed}


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
