"""What all templates keep, whichever page they belong to."""

import re
from pathlib import Path

import pytest

import api.dashboard

FOLDER = Path(api.dashboard.__file__).parent / "templates"
TEMPLATES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))
# A tag to its end, past what stands in quotes and braces.
_TAG = r"<{name}\b(?:\{{\{{.*?\}}\}}|\{{%.*?%\}}|[^>])*>"


def tags(template: str, name: str) -> list[str]:
    """The tags of this name in a template."""
    return re.findall(_TAG.format(name=name), (FOLDER / template).read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_scrolls_is_reached_by_keyboard_and_has_a_name(template: str) -> None:
    """A region that scrolls sideways on a phone can be focused, and says what it holds."""
    scrolling = [tag for tag in tags(template, "div") if re.search(r'class="[^"]*\bscroll\b', tag)]
    for tag in scrolling:
        assert 'tabindex="0"' in tag, tag
        assert 'role="region"' in tag, tag
        assert 'aria-label="' in tag, tag


@pytest.mark.parametrize("template", TEMPLATES)
def test_text_as_it_is_can_be_scrolled_by_keyboard(template: str) -> None:
    """Its lines are as long as they are."""
    assert [tag for tag in tags(template, "pre") if 'tabindex="0"' not in tag] == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_chart_has_a_place_to_be_drawn_in(template: str) -> None:
    """Beside the drawing that the page comes with; without it a script would have nowhere to go."""
    charts = [tag for tag in tags(template, "figure") if "data-chart=" in tag]
    assert len(charts) == (FOLDER / template).read_text("utf-8").count("parts.plot(")
