"""The messages of pages, as the code has them: what the catalog must translate."""

import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from jinja2 import nodes

from api.dashboard.render import FOLDER, environment

_KINDS = [
    ("static/vendor/**", "ignore"),
    ("**.py", "python"),
    ("**.js", "javascript"),
    ("**.html", "jinja2"),
]
_OPTIONS = {"**.js": {"parse_template_string": "true"}}
_KEYWORDS = {"_": None, "gettext": None, "message": None, "ngettext": (1, 2), "t": None}
_QUOTED = re.compile(r"<(code|pre|kbd)\b.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<!--.*?-->|<[^>]*>|&\w+;|&#\d+;", re.DOTALL)
_SAID = re.compile(r"""\b(?:title|aria-label|placeholder|alt|data-label|data-key-label)="([^"]*)""")
_WORD = re.compile(r"[A-Za-z]{2,}")
# Names and units that are the same in every language.
_NAMES = frozenset(
    [
        "segtune",
        "sha256",
        "sha",
        "JSON",
        "YAML",
        "CSV",
        "IoU",
        "mIoU",
        "GPU",
        "GPUs",
        "GB",
        "MB",
        "FPS",
        "px",
        "json",
        "yaml",
        "csv",
    ]
)


def extracted() -> Catalog:
    """Every message that templates, Python and scripts of the dashboard ask for."""
    found = Catalog()
    for file, line, text, _, _ in extract_from_dir(
        str(FOLDER), _KINDS, options_map=_OPTIONS, keywords=_KEYWORDS
    ):
        found.add(text, locations=[(file, line)])
    return found


def unmarked(template: Path) -> Iterator[str]:
    """English that a template says without asking the catalog for it."""
    tree = environment().parse(template.read_text(encoding="utf-8"))
    # An expression within an attribute leaves a gap there, which must not end the tag.
    text = "\x00".join(node.data for node in tree.find_all(nodes.TemplateData))
    for said in (*_SAID.findall(text), _TAG.sub(" ", _QUOTED.sub(" ", text))):
        yield from (word for word in _WORD.findall(said) if word not in _NAMES)
