"""What is shown of validation images: of one trial by step, of a study by trial."""

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tests.store.sheets import details, hand_in, show
from tuner.errors import InvalidInput, NotFound
from tuner.service import examples
from tuner.service.trial_lists import TrialSelection
from tuner.spec.example_views import StudyExamples
from tuner.store.engine import Database
from tuner.store.tables import Artifact, Trial


def numbers(found: StudyExamples) -> list[int]:
    """Trials in the order of the rows."""
    return [row.trial.number for row in found.rows]


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Three trials whose images score otherwise than they do, and one without any."""
    fleet = Fleet(database)
    fleet.submit()
    scores = ((0.2, 0.9), (0.6, None), (0.4, 0.1))
    for value, row in zip((0.5, 0.7, 0.6), scores, strict=True):
        held = fleet.take()
        hand_in(fleet, held, "predictions", details(0.0, 0.0), step=1)
        show(fleet, held, *row, step=2)
        fleet.train(held, value=value)
    fleet.take()
    return fleet


def test_a_trial_shows_its_steps_in_order(fleet: Fleet) -> None:
    """With scores, boxes and the colours of its classes."""
    found = examples.of_trial(fleet.db, "streets", 0)
    assert [sheet.step for sheet in found.predictions] == [1, 2]
    assert [image.miou for image in found.predictions[-1].images] == [0.2, 0.9]
    assert [image.box for image in found.predictions[-1].images] == [(0, 0, 8, 4), (8, 0, 8, 4)]
    assert found.photos is not None
    assert found.truth is not None
    assert all(len(each.colour) == 7 for each in found.classes)


def test_a_trial_without_pictures_has_none(fleet: Fleet) -> None:
    """That is not an error; a trial that does not exist is."""
    found = examples.of_trial(fleet.db, "streets", 3)
    assert (found.photos, found.truth, found.predictions) == (None, None, ())
    with pytest.raises(NotFound):
        examples.of_trial(fleet.db, "streets", 99)


def test_the_truth_of_a_study_is_what_most_trials_have(fleet: Fleet) -> None:
    """One trial with other labels, be it the last, does not change what all are held against."""
    every = TrialSelection(sort="number")
    with fleet.db.transaction() as session:
        kept = Artifact.trial_id.in_(select(Trial.id).where(Trial.number < 2))
        session.execute(update(Artifact).where(kept).values(sha256="a" * 64))
    found = examples.of_study(fleet.db, "streets", every)
    first = examples.of_trial(fleet.db, "streets", 0)
    assert (found.truth, found.photos) == (first.truth, first.photos)
    with fleet.db.transaction() as session:
        session.execute(update(Artifact).values(sha256="b" * 64))
    first = examples.of_trial(fleet.db, "streets", 0)
    assert examples.of_study(fleet.db, "streets", every).truth == first.truth


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("number", False, [0, 1, 2, 3]),
        ("value", True, [1, 2, 0, 3]),
        ("image.0", True, [1, 2, 0, 3]),
        ("image.0", False, [0, 2, 1, 3]),
        ("image.1", True, [0, 2, 1, 3]),
        ("image.7", True, [0, 1, 2, 3]),
    ],
)
def test_rows_are_sorted_by_metric_or_image(
    fleet: Fleet, sort: str, descending: bool, expected: list[int]
) -> None:
    """What has no score comes last, whichever way."""
    for limit in (1, 2, 10):
        found: list[int] = []
        cursor: str | None = None
        while True:
            selection = TrialSelection(sort, descending, None, cursor, limit)
            page = examples.of_study(fleet.db, "streets", selection)
            found += numbers(page)
            cursor = page.next
            if cursor is None:
                break
        assert found == expected


def test_rows_are_those_that_a_filter_lets_through(fleet: Fleet) -> None:
    """Whether a column or an image sorts them."""
    for sort, expected in (("number", [1, 2]), ("image.0", [2, 1])):
        selection = TrialSelection(sort, filter="value > .55")
        found = examples.of_study(fleet.db, "streets", selection)
        assert (numbers(found), found.total) == (expected, 2)


def test_rows_have_the_last_sheet(fleet: Fleet) -> None:
    """And the study has photos and labels."""
    found = examples.of_study(fleet.db, "streets", TrialSelection(sort="number"))
    assert [row.predictions and row.predictions.step for row in found.rows] == [2, 2, 2, None]
    assert found.photos is not None
    assert found.truth is not None
    assert found.total == 4


@pytest.mark.parametrize(
    "sort", ["image.", "image.x", "image.-1", "image.1.5", "image." + "9" * 99]
)
def test_an_image_is_named_by_its_place(fleet: Fleet, sort: str) -> None:
    """Anything else is refused, and says how."""
    with pytest.raises(InvalidInput, match=r"image\.3"):
        examples.of_study(fleet.db, "streets", TrialSelection(sort=sort))


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIiwgMV0"])
def test_a_foreign_cursor_is_refused(fleet: Fleet, cursor: str) -> None:
    """One that this list did not give."""
    with pytest.raises(InvalidInput):
        examples.of_study(fleet.db, "streets", TrialSelection("image.0", cursor=cursor))


@pytest.mark.parametrize("stored", [None, {}, {"images": 3}, {"images": [7]}, {"images": [{}]}])
def test_details_that_cannot_be_read_are_left_out(fleet: Fleet, stored: Any) -> None:
    """A damaged row hides its own picture and nothing else."""
    with fleet.db.transaction() as session:
        session.execute(update(Artifact).where(Artifact.step == 2).values(details=stored))
    found = examples.of_trial(fleet.db, "streets", 0)
    assert [sheet.step for sheet in found.predictions] == [1]
    selection = TrialSelection("image.0", descending=True)
    assert numbers(examples.of_study(fleet.db, "streets", selection)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("wanted", "said"), [({}, False), ({"examples": 8}, False), ({"examples": 0}, True)]
)
def test_only_another_number_is_said(
    database: Database, wanted: dict[str, Any], said: bool
) -> None:
    """Releases before it read studies and assignments that want the usual number of images."""
    fleet = Fleet(database)
    document = spec(**wanted)
    fleet.submit(document)
    held = fleet.take()
    assert held.examples == wanted.get("examples", 8)
    assert ("examples" in document.dump()) is said
    assert ("examples" in held.model_dump(mode="json")) is said
    assert "examples" not in held.config.model_dump_json()


@pytest.mark.parametrize("wanted", [-1, 33, 2.5, "many"])
def test_only_so_many_can_be_wanted(wanted: Any) -> None:
    """From none to 32."""
    with pytest.raises(ValidationError):
        spec(examples=wanted)
