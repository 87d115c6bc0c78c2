"""Who may know whom, checked on the sources and on what really gets imported."""

import re
import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT, sources, text

TORCH = ("torch", "torchvision", "timm")
SERVER = ("fastapi", "starlette", "sqlalchemy", "alembic", "optuna")


def _imports(statement: str, *, blocked: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run a statement in a fresh interpreter in which some packages cannot be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); {statement}"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_import_contracts_hold(tmp_path: Path) -> None:
    """import-linter finds no broken contract of pyproject.toml."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--cache-dir", tmp_path, "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert 0 == done.returncode, done.stdout


def test_use_cases_hand_sessions_on_and_say_no_sql() -> None:
    """Of SQLAlchemy, `tuner.service` imports the `Session` that it passes to the store."""
    lines = {
        line
        for path in sources()
        if path.is_relative_to("tuner/service")
        for line in re.findall(r"^ *(?:from|import) sqlalchemy.*$", text(path), re.MULTILINE)
    }

    assert lines <= {"from sqlalchemy.orm import Session"}


def test_the_server_starts_without_torch() -> None:
    """The application imports, and lists every component, where torch is not installed."""
    listing = "[catalog.components(kind) for kind in catalog.FOLDERS]"
    done = _imports(f"import api.app; from tuner.configs import catalog; {listing}", blocked=TORCH)

    assert 0 == done.returncode, done.stderr


def test_the_worker_starts_without_the_server_and_without_torch() -> None:
    """The agent process imports neither torch nor anything that only a server installs."""
    done = _imports("import workers.agent", blocked=(*TORCH, *SERVER))

    assert 0 == done.returncode, done.stderr


def test_a_fleet_starts_without_a_worker_s_packages() -> None:
    """`segtune fleet` for an engine elsewhere needs neither torch nor what looks at devices."""
    blocked = (*TORCH, *SERVER, "numpy", "psutil", "pynvml")
    done = _imports("import workers.fleet.contract, workers.fleet.loop", blocked=blocked)

    assert 0 == done.returncode, done.stderr


def test_the_command_imports_lazily() -> None:
    """`segtune --help` works where neither server nor worker is installed."""
    done = _imports("import tuner.cli.app", blocked=(*TORCH, *SERVER, "pydantic"))

    assert 0 == done.returncode, done.stderr
