"""How the dashboard alone writes values."""

import pytest

from api.dashboard import format as fmt


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (812, "812 B"), (4_100_000, "4.1 MB"), (2 * 10**15, "2000.0 TB")],
)
def test_size(count: int, text: str) -> None:
    """Sizes are in decimal units."""
    assert fmt.size(count) == text


def test_flatten_gives_dotted_paths() -> None:
    """Nested mappings become paths; empty ones stay as they are."""
    assert fmt.flatten({"a": {"b": 1, "c": {}}, "d": 2}) == {"a.b": 1, "a.c": {}, "d": 2}
