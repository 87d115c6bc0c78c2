"""docs/components.md is what the component files say of themselves."""

import ast
import os

from tests.house.tree import ROOT, sources, text
from tuner.configs import catalog
from tuner.configs.catalog import Component, Option

PAGE = ROOT / "docs" / "components.md"
ROOMS = {"tuner.search.pruners", "tuner.search.samplers"}
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


def test_no_other_file_names_a_pruner_or_a_sampler() -> None:
    """Only `rules.py` does, for what `auto` means; whoever asks by a trait finds a new one too."""
    known = {*catalog.names("pruner"), *catalog.names("sampler")}
    folders = ("tuner/search", "tuner/service", "tuner/configs/checks")
    found = []
    for path in sources():
        inside = path.as_posix().startswith(("tuner/search/pruners/", "tuner/search/samplers/"))
        if not path.as_posix().startswith(folders) or inside or path.name == "rules.py":
            continue
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Constant):
                is_wrong = node.value in known
            elif isinstance(node, ast.ImportFrom):
                folder, _, module = (node.module or "").rpartition(".")
                is_wrong = folder in ROOMS and module != "_contract"
            else:
                continue
            found += [f"{path}:{node.lineno}"] if is_wrong else []
    assert not found


def render() -> str:
    """The page: a table for each kind of component."""
    parts = [
        "# Components",
        "",
        "Made from the component files by `tests/house/test_components.py`; do not edit by hand.",
        "An option stands beside its component's name in a study; its default is what a study that "
        "does not set it trains with.",
        "Other packages may add to these: see [plugins.md](plugins.md).",
    ]
    for kind, heading in HEADINGS.items():
        parts += [
            "",
            f"## {heading}",
            "",
            "| name | what it is | options | file |",
            "|---|---|---|---|",
        ]
        parts += [row(component) for component in catalog.built_in(kind).values()]
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
