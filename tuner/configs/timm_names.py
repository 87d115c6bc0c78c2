"""Names that timm registers, read from its files as text: a server need not load torch for it."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"^@register_model\s*\ndef (\w+)\(", flags=re.MULTILINE)


@cache
def files() -> Mapping[str, str]:
    """The stem of timm's file for each of its models by name; empty where it is not installed."""
    spec = find_spec("timm")
    folders = spec.submodule_search_locations if spec else None
    return {
        name: path.stem
        for folder in folders or ()
        for path in sorted((Path(folder) / "models").glob("*.py"))
        for name in _REGISTERED.findall(path.read_text(encoding="utf-8"))
    }
