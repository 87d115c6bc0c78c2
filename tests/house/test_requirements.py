"""The pins, the ranges and the interpreter versions agree."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT, sources, text

PIN = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*( ; [^;]+)?")
PROJECT: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
TESTED = (
    "server",
    "worker",
    "tiff",
    "insight",
    "optuna-dashboard",
    "ray",
    "kubernetes",
    "s3",
    "dev",
)  # the extras that `make test` needs
USERS = ("server", "worker", "tiff", "insight", "ray", "kubernetes", "s3")
# Dependencies that no file of ours imports, and what does.
INDIRECT = {
    "cmaes": "Optuna's CMA-ES",
    "httptools": "uvicorn",
    "s3fs": "fsspec, for s3://",
    "scikit-learn": "Optuna's fANOVA",
    "torchvision": "segmentation-models-pytorch and timm; its version must fit torch's",
    "uvloop": "uvicorn",
}
# Imports that no extra asks for, and why.
UNDECLARED = {
    "anyio": "part of FastAPI's interface",
    "markupsafe": "part of Jinja's interface",
    "pydantic-core": "part of Pydantic's interface",
    "starlette": "part of FastAPI's interface",
}
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


def _imported() -> set[str]:
    """The top-level modules that the product imports, at the top of a file or in a function."""
    return {
        name.partition(".")[0]
        for path in sources()
        if path.parts[0] != "benchmarks"
        for node in ast.walk(ast.parse(text(path)))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def _for_users() -> set[str]:
    """The distributions that `segtune[all]` asks for."""
    optional = PROJECT["optional-dependencies"]
    lines = [line for extra in optional if extra in USERS for line in optional[extra]]
    return {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"] + lines}


def test_every_dependency_is_imported() -> None:
    """What an extra installs is used by the code, or by a package that is."""
    owners = packages_distributions()
    used = {canonicalize_name(one) for name in _imported() for one in owners.get(name, ())}

    assert set(INDIRECT) == _for_users() - used


def test_every_import_is_a_dependency() -> None:
    """No package is taken for granted because another one happens to bring it."""
    owners = packages_distributions()
    known = _for_users() | {"segtune", *UNDECLARED}
    ours = {"tuner", "api", "workers", "tests", "_typeshed"}  # the last is for type checkers only
    strange = {
        name
        for name in _imported() - {*sys.stdlib_module_names, *ours}
        if name and not known & {canonicalize_name(one) for one in owners.get(name, ())}
    }

    assert set() == strange


def test_all_names_every_extra_for_users() -> None:
    """`segtune[all]` is every extra but the developers'."""
    (everything,) = (Requirement(line) for line in PROJECT["optional-dependencies"]["all"])
    extras = set(PROJECT["optional-dependencies"]) - {"all", "benchmarks", "dev"}

    assert extras == everything.extras
