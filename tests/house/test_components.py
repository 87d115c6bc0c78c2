"""docs/components.md is what the component files say of themselves."""

import os

from tests.house.tree import ROOT
from tuner.configs import catalog
from tuner.configs.catalog import Component, Option

PAGE = ROOT / "docs" / "components.md"
HEADINGS = {
    "encoder": "Encoders",
    "decoder": "Decoders",
    "loss": "Losses",
    "optimizer": "Optimizers",
    "schedule": "Schedules",
    "augment": "Augmentations",
    "dataset": "Data set formats",
    "sampler": "Samplers",
    "pruner": "Pruners",
}


def test_the_table_of_components_is_current() -> None:
    """Every component, its options and its file stand in the documentation."""
    page = render()
    if os.environ.get("UPDATE_COMPONENTS"):
        PAGE.write_text(page, encoding="utf-8")
    hint = "rewrite it: UPDATE_COMPONENTS=1 pytest tests/house/test_components.py"
    assert PAGE.read_text(encoding="utf-8") == page, hint


def render() -> str:
    """The page: a table for each kind of component."""
    parts = [
        "# Components",
        "",
        "Made from the component files by `tests/house/test_components.py`; do not edit by hand.",
        "An option stands beside its component's name in a study; its default is what a study that "
        "does not set it trains with.",
    ]
    for kind, heading in HEADINGS.items():
        parts += [
            "",
            f"## {heading}",
            "",
            "| name | what it is | options | file |",
            "|---|---|---|---|",
        ]
        parts += [row(component) for component in catalog.components(kind).values()]
    return "\n".join(parts) + "\n"


def row(component: Component) -> str:
    """One line of a table."""
    path = component.module.replace(".", "/") + ".py"
    options = "<br>".join(option(o) for o in component.options.values()) or "–"
    summary = component.summary.replace("|", "\\|")
    return f"| `{component.name}` | {summary} | {options} | [{path}](../{path}) |"


def option(found: Option) -> str:
    """An option with its default and type."""
    kind = found.annotation.replace("|", "\\|")
    return f"`{found.name}` = `{found.default!r}` ({kind})"
