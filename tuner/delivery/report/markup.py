"""HTML and SVG as text: whatever is not markup already is escaped, in attributes too.

Names of classes and files come from data sets of others, so that nothing is trusted by where it
comes from. What XML cannot hold becomes the replacement character.
"""

import re
from html import escape

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = frozenset({"br", "img", "meta", "rect", "line", "path", "circle"})


class Markup(str):
    """Text that is markup, as `element` makes it."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element; a trailing `_` of an attribute's name goes, others become `-`; None goes."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{pairs}>" if name in {"br", "img", "meta"} else f"<{name}{pairs}/>")
    return Markup(f"<{name}{pairs}>{joined(*children)}</{name}>")


def joined(*children: object) -> Markup:
    """Children one after the other; None is left out."""
    return Markup("".join(text(child) for child in children if child is not None))


def text(value: object) -> Markup:
    """Markup as it is; anything else as escaped text."""
    return value if isinstance(value, Markup) else Markup(_escaped(str(value)))


def _escaped(value: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", value), quote=True)
