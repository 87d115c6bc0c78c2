"""The page that a report is: its style inline, light and dark by the reader's system."""

from collections.abc import Iterable, Sequence

from tuner.delivery.report.markup import Markup, element, joined
from tuner.delivery.report.style import STYLE


def document(title: str, *sections: Markup) -> str:
    """A whole HTML document of sections."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        # Nothing is fetched, whatever a name in it says.
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; img-src data:; style-src 'unsafe-inline'",
        ),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element("body", element("main", *sections))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def panel(title: str, *children: Markup | None, note: str = "", id_: str | None = None) -> Markup:
    """A section with a heading, and a note beside it."""
    heading = element(
        "div",
        element("h2", title),
        element("p", note, class_="muted") if note else None,
        class_="title",
    )
    return element("section", heading, *children, class_="panel", id=id_)


def facts(pairs: Iterable[tuple[str, str, str]]) -> Markup:
    """Figures that stand out: name, value, and what to know of it."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", name),
                element("dd", value),
                element("dd", note, class_="sub") if note else None,
            )
            for name, value, note in pairs
        ),
        class_="panel facts",
    )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, label: str, texts: int = 1
) -> Markup:
    """A table; the first `texts` columns are text, the others numbers."""

    def kind(place: int) -> str | None:
        return None if place < texts else "n"

    head = element(
        "tr",
        *(element("th", each, class_=kind(i), scope="col") for i, each in enumerate(columns)),
    )
    body = [
        element(
            "tr",
            *(
                element("th" if i == 0 else "td", each, class_=kind(i), scope=_scope(i))
                for i, each in enumerate(row)
            ),
        )
        for row in rows
    ]
    whole = element("table", element("thead", head), element("tbody", *body))
    return scrolling(whole, label=label)


def scrolling(*children: Markup, label: str) -> Markup:
    """What is wider than a phone scrolls by itself, by keyboard too."""
    return element("div", *children, class_="scroll", tabindex="0", role="region", aria_label=label)


def notes(lines: Iterable[str]) -> Markup | None:
    """What a reader should know before the numbers, if there is anything."""
    found = [element("p", line, class_="note") for line in lines]
    return joined(*found) if found else None


def _scope(place: int) -> str | None:
    return "row" if place == 0 else None
