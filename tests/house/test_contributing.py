"""What the documents show works as shown."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.house.tree import ROOT, sources, text
from tuner.configs import checks

# What is compiled goes along, except what another process is about to write.
_PASSED_OVER = shutil.ignore_patterns("*.pyc.*", "node_modules", ".hypothesis")
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

PACKAGED = sorted((ROOT / "tuner" / "configs" / "studies").glob("*.yaml"))


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text(page), flags=re.DOTALL)


def test_the_worked_example_is_a_loss() -> None:
    """The loss of CONTRIBUTING.md runs, has a gradient, and is 0 where every pixel is ignored."""
    source, _ = _blocks("CONTRIBUTING.md", "python")
    module: dict[str, Any] = {}
    exec(source, module)
    build: Callable[..., torch.nn.Module] = module["build"]
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)

    loss = build(3, [0.2, 0.3, 0.5], epsilon=2.0)(logits, torch.randint(0, 3, (2, 4, 5)))
    loss.backward()
    ignored = build(3, [0.2, 0.3, 0.5])(logits, torch.full((2, 4, 5), 255))

    assert loss > 0
    assert logits.grad is not None
    assert 0 == ignored.item()


def test_a_component_is_added_as_one_file(tmp_path: Path) -> None:
    """Each example, written where the page says, is found, keeps its contract, and can be used."""
    for folder in ("tuner", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=_PASSED_OVER)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files = re.findall(r"complete, as `(tuner/\S+\.py)`", text("CONTRIBUTING.md"))
    for name, source in zip(files, _blocks("CONTRIBUTING.md", "python"), strict=True):
        assert not (tmp_path / name).exists(), name
        (tmp_path / name).write_text(source, encoding="utf-8")
    stems = [Path(name).stem for name in files]

    suites = ["tests/contracts/test_pruners.py", "tests/contracts/test_losses.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n", "0"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, *suites, "-k", " or ".join(stems)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert all(f"[{stem}]" in done.stdout for stem in stems), done.stdout


def test_the_map_of_rooms_is_whole() -> None:
    """Every folder and loose module of the product has its row, and every row its room."""
    section = text("CONTRIBUTING.md").split("## Where things are")[1].split("##")[0]
    named = set(re.findall(r"`((?:tuner|api|workers)[\w./]*)`", section))
    rooms = {
        "/".join(path.parts[:2]) if path.parts[0] == "tuner" else path.parts[0]
        for path in sources()
        if path.parts[0] in {"tuner", "api", "workers"} and path != Path("tuner/__init__.py")
    }

    assert rooms <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_can_be_submitted(path: Any) -> None:
    """Every study under examples/ passes all checks of a submission."""
    spec = checks.parse(yaml.safe_load(path.read_text(encoding="utf-8")))

    assert spec.space.root


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.stem)
def test_a_study_that_comes_with_segtune_is_an_example(path: Any) -> None:
    """What is installed is what people read under examples/, comments and all."""
    assert text(f"examples/{path.name}") == path.read_text(encoding="utf-8")


def test_the_study_of_the_readme_can_be_submitted() -> None:
    """The study in twelve lines passes all checks, and has twelve lines."""
    (document,) = _blocks("README.md", "yaml")

    assert "streets" == checks.parse(yaml.safe_load(document)).name
    assert 12 == len(document.splitlines())
