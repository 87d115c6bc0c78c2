"""The migration tree is one line of numbered files that know nothing of the models."""

import re
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.house.tree import ROOT, text, tracked

FILES = [path for path in tracked() if path.parent == Path("migrations/versions")]
NUMBERED = [path for path in FILES if path.name != "__init__.py"]


def test_there_is_one_head() -> None:
    """Alembic sees exactly one newest migration."""
    tree = ScriptDirectory.from_config(Config(toml_file=str(ROOT / "pyproject.toml")))

    assert 1 == len(tree.get_heads())


def test_migrations_are_numbered_without_a_gap() -> None:
    """Files are 0001_…, 0002_… and so on, so that two branches collide in plain sight."""
    expected = [f"{number:04d}" for number in range(1, len(NUMBERED) + 1)]

    assert NUMBERED
    assert expected == [path.name[:4] for path in NUMBERED]
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", path.name) for path in NUMBERED)


def test_no_migration_imports_the_models() -> None:
    """A migration says the schema of its day, whatever the models say later."""
    assert [] == [
        str(path) for path in NUMBERED if re.search(r"^(from|import) tuner", text(path), re.M)
    ]
