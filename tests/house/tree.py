"""The files of this repository, as the house tests look at them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("tuner", "api", "workers", "migrations", "benchmarks")


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks or would track, relative to the root."""
    git = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = git.stdout.split("\0") if git.returncode == 0 else _walked()
    return tuple(sorted({Path(name) for name in names if name and (ROOT / name).is_file()}))


def _walked() -> Iterator[str]:
    """The files of a tree that git does not know: an archive, or somebody else's checkout."""
    for folder in (*PACKAGES, "tests", "docs", "examples", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT))
    yield from (path.name for path in ROOT.glob("*.*") if path.suffix in {".md", ".toml", ".yml"})


def sources() -> Iterator[Path]:
    """The Python files of the product, relative to the root; tests are not among them."""
    yield from (path for path in tracked() if path.suffix == ".py" and path.parts[0] in PACKAGES)


def text(path: Path | str) -> str:
    """A file of the repository, by its path from the root."""
    return (ROOT / path).read_text(encoding="utf-8")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function of a file, its docstring counted in."""
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1
