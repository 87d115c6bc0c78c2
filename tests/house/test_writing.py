"""Rows are written in one room: use cases decide, and `tuner.store` writes what they decided."""

import ast
from pathlib import Path

import pytest

from tests.house.tree import sources, text

RECORDS = {
    "tuner/store/tables.py": {"Study", "Trial", "Worker", "Attempt", "Report", "Artifact", "Event"},
    "tuner/store/held.py": {"HeldTrial", "HeldAttempt"},
}
# Of a session, what writes or undoes; the store does it at the right moment.
WRITES = {"add", "add_all", "commit", "delete", "execute", "flush", "merge", "rollback"}


def _columns() -> set[str]:
    """Names of all columns of the rows that use cases are handed."""
    return {
        field.target.id
        for path, names in RECORDS.items()
        for record in ast.walk(ast.parse(text(path)))
        if isinstance(record, ast.ClassDef) and record.name in names
        for field in record.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def _sets_column(node: ast.AST, columns: set[str]) -> bool:
    """Whether this is a column of a row, or a part of one, that is given another value."""
    if not isinstance(node, ast.Attribute | ast.Subscript) or isinstance(node.ctx, ast.Load):
        return False
    whole: ast.expr = node
    while isinstance(whole, ast.Subscript):
        whole = whole.value
    return (
        isinstance(whole, ast.Attribute)
        and whole.attr in columns
        and ast.unparse(whole.value) != "self"
    )


def _writes(node: ast.AST) -> bool:
    """Whether this is a call that sets an attribute by name, or tells a session to write."""
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return called in {"setattr", "delattr", *(f"session.{name}" for name in WRITES)}


def _written(source: str, columns: set[str]) -> list[str]:
    """Places of a source in which a column of a row is set, or a session is told to write."""
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.expr) and (_sets_column(node, columns) or _writes(node))
    ]


SERVICE = [path for path in sources() if path.is_relative_to("tuner/service")]


@pytest.mark.parametrize("path", SERVICE, ids=lambda path: path.stem)
def test_a_use_case_writes_no_column(path: Path) -> None:
    """What a row holds is set in `tuner.store`, once for each thing that may happen to it."""
    assert [] == _written(text(path), _columns())


@pytest.mark.parametrize(
    ("line", "is_writing"),
    [
        ("trial.verdict = {}", True),
        ("trial.error, trial.error_kind = outcome.error, None", True),
        ("held.study.epochs += 1", True),
        ("study.warnings['rung 1'] = 'few trials'", True),
        ("del trial.provenance['data']", True),
        ("for trial.step in range(3): pass", True),
        ("setattr(trial, name, value)", True),
        ("session.delete(study)", True),
        ("session.flush()", True),
        ("self.state = state", False),
        ("found[trial.number] = trial.value", False),
        ("self._revision = study.event_seq", False),
        ("shown.add(trial.number)", False),
        ("state = trial.state", False),
    ],
)
def test_writing_is_recognised(line: str, is_writing: bool) -> None:
    """The rule finds each way to set a column, and not what only reads one."""
    assert is_writing == bool(_written(line, _columns()))
