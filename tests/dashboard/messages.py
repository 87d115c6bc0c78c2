"""The messages of pages, as the code has them: what the catalog must translate."""

import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from jinja2 import nodes
from jinja2.environment import Environment

from api.dashboard.render import FOLDER

_KINDS = [
    ("**/static/vendor/**", "ignore"),
    ("**.py", "python"),
    ("**.js", "javascript"),
    ("**.html", "jinja2"),
]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "t": None, "message": None}
_TAG = re.compile(r"<(code|pre|style)\b.*?</\1>|<!--.*?-->|<[^>]*>|&\w+;|&#\d+;", re.DOTALL)
_SAID = re.compile(r"""\b(?:title|aria-label|placeholder|alt|data-label)="([^"]*)""")
_WORD = re.compile(r"[A-Za-z]{2,}")
_NAMES = {"segtune", "sha256", "JSON", "YAML", "CSV", "IoU", "mIoU", "GPU", "DOCTYPE"}


def extracted() -> Catalog:
    """Every message that templates, Python and scripts of the dashboard ask for."""
    found = Catalog()
    for file, line, message, _, _ in extract_from_dir(
        str(FOLDER), _KINDS, keywords=_KEYWORDS, options_map={"**.html": {"silent": "false"}}
    ):
        found.add(message, locations=[(file, line)])
    return found


def unmarked(environment: Environment, template: Path) -> Iterator[str]:
    """English that a template says without asking the catalog for it."""
    tree = environment.parse(template.read_text(encoding="utf-8"))
    text = "\x00".join(node.data for node in tree.find_all(nodes.TemplateData))
    spoken = [*_SAID.findall(text), _TAG.sub(" ", text)]
    for word in _WORD.findall(" ".join(spoken)):
        if word not in _NAMES:
            yield word
