"""Packages with components, written as an installer would leave them, without one."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.house.tree import text

LOSSES = "segtune.losses"


class SitePackages:
    """A folder of installed packages that this process, and those that it starts, can import."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        folder.mkdir()
        patch.setenv("PYTHONPATH", f"{folder}:{Path.cwd()}")
        patch.syspath_prepend(folder)

    def install(
        self,
        package: str,
        files: Mapping[str, str],
        points: Mapping[str, str],
        *,
        version: str = "1.0",
        group: str = LOSSES,
    ) -> None:
        """Write a package with its metadata: files by path, entry points by name."""
        for path, content in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(content, encoding="utf-8")
        info = self.folder / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        lines = [f"{name} = {module}" for name, module in points.items()]
        entry_points = "\n".join([f"[{group}]", *lines, ""])
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")

    def install_example(self, version: str = "1.0") -> None:
        """Write the package of docs/plugins.md."""
        page = text("docs/plugins.md")
        (source,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
        (point,) = re.findall(r'losses"\]\n(\w+) = "([\w.]+)"', page)
        path = point[1].replace(".", "/") + ".py"
        self.install("acme-seg", {path: source}, dict([point]), version=version)

    def allow(self, *packages: str) -> None:
        """Let the tests use these packages."""
        self._patch.setenv("SEGTUNE_PLUGINS", ",".join(packages))


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SitePackages]:
    """A folder of installed packages, none at first and none allowed."""
    monkeypatch.delenv("SEGTUNE_PLUGINS", raising=False)
    before = set(sys.modules)
    folder = tmp_path_factory.mktemp("plugins") / "site-packages"
    yield SitePackages(folder, monkeypatch)
    for name in set(sys.modules) - before:
        spec = sys.modules[name].__spec__
        # A package without __init__.py has folders and no file.
        places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
        if any(str(place).startswith(str(folder)) for place in places):
            del sys.modules[name]
