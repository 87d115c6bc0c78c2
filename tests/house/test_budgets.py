"""Files and functions stay short enough to be read in one go."""

from tests.house.tree import functions, sources, text

FORBIDDEN = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "manager.py", "misc.py"}


def test_no_file_is_longer_than_400_lines() -> None:
    """A source file has 400 lines at most."""
    too_long = {str(path): lines for path in sources() if (lines := text(path).count("\n")) > 400}

    assert {} == too_long


def test_no_function_is_longer_than_60_lines() -> None:
    """A function has 60 lines at most."""
    too_long = {
        f"{path}:{name}": lines
        for path in sources()
        for name, lines in functions(path)
        if lines > 60
    }

    assert {} == too_long


def test_every_module_is_named_for_what_it_holds() -> None:
    """No module has a name under which anything could be put."""
    assert [] == [str(path) for path in sources() if path.name in FORBIDDEN]


def test_depends_is_spelled_where_routes_take_it_from() -> None:
    """Routes take aliases from `deps.py`, the dashboard from its own; only they say `Depends`."""
    spelled = {str(path) for path in sources() if "Depends(" in text(path)}

    assert spelled <= {"api/deps.py", "api/dashboard/deps.py"}
