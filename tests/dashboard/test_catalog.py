"""Every sentence of a page is in the catalog, and the catalog has nothing else.

UPDATE_WORDS=1 brings the catalogs up to the code; what is new in them then waits for its words.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from api.dashboard import words
from api.dashboard.render import FOLDER
from tests.dashboard.messages import extracted, unmarked

LANGUAGES = sorted(set(words.LANGUAGES) - {"en"})
TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))
_PLACE = re.compile(r"%\((\w+)\)s|\{(\w+)\}")


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """A language with a catalog, which is brought up to date where that is asked for."""
    chosen = str(request.param)
    if os.environ.get("UPDATE_WORDS"):
        _update(chosen)
    return chosen


def _update(chosen: str) -> None:
    path = words.FOLDER / f"{chosen}.po"
    known = _read(chosen) if path.exists() else Catalog(locale=chosen)
    known.update(extracted(), no_fuzzy_matching=True)
    known.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, known, width=100, omit_header=True, sort_output=True, include_lineno=False)


def _read(chosen: str) -> Catalog:
    with (words.FOLDER / f"{chosen}.po").open("rb") as file:
        return read_po(file, locale=chosen)


def _entries(catalog: Catalog) -> Mapping[str, Message]:
    return {str(message.id): message for message in catalog if message.id}


def test_the_catalog_has_the_messages_of_the_code(language: str) -> None:
    """None is missing, and none is left from earlier."""
    found = _read(language)

    assert sorted(_entries(extracted())) == sorted(_entries(found))


def test_every_message_has_its_translation(language: str) -> None:
    """An empty one would show English in the middle of a page."""
    found = _read(language)

    assert [key for key, one in _entries(found).items() if not one.string or one.fuzzy] == []


def test_a_translation_fills_in_the_same_values(language: str) -> None:
    """A name that the page does not give would be an error there, one left out a fact less."""
    found = _read(language)
    odd = {}
    for key, message in _entries(found).items():
        wanted, said = _places(message.id), _places(message.string)
        if wanted != said:
            odd[key] = (wanted, said)

    assert odd == {}


def _places(forms: object) -> set[str]:
    texts = [forms] if isinstance(forms, str) else list(forms) if isinstance(forms, tuple) else []
    return {name for text in texts for pair in _PLACE.findall(text) for name in pair if name}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_template_has_no_text_of_its_own(template: Path) -> None:
    """What it says goes through the catalog, or a reader of Chinese meets English."""
    assert list(unmarked(template)) == []
