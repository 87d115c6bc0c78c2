"""pydantic's errors in our words, the same for files, bodies, settings and queries."""

from typing import Any

import pytest
from pydantic import ValidationError

from tuner.spec.messages import ReportBatch
from tuner.spec.study import StudySpec
from tuner.spec.validation import invalid, problems, summary

DATA = {"format": "synthetic", "classes": ["a", "b"], "size": [32, 32]}


def _told(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        StudySpec.model_validate({"name": "a", "dataset": DATA, **changes})
    return [str(problem) for problem in invalid(caught.value, StudySpec).problems]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dataset": {}}, ["dataset.classes: is missing", "dataset.size: is missing"]),
        ({"nmae": {}}, ["nmae: no such key; did you mean 'name'?"]),
        (
            {"priority": 101},
            ["priority: input should be less than or equal to 100, not 101"],
        ),
        (
            {"dataset": {**DATA, "classes": ["a", "b", 1]}},
            ["dataset.classes.2: input should be a valid string, not 1; put it in quotes"],
        ),
        (
            {"constraints": [{"metric": "miou"}]},
            ["constraints.0: a constraint on miou needs min, max or both"],
        ),
        (
            {"space": {"optimizer.lr": {"float": ["x" * 100, 1]}}},
            [
                "space.optimizer.lr.0.float.0: input should be a valid number, unable to parse "
                f"string as a number, not '{'x' * 56}…"
            ],
        ),
    ],
)
def test_an_error_names_place_value_and_what_to_do(
    changes: dict[str, Any], told: list[str]
) -> None:
    """No prefix of pydantic's, the value that was seen, and the nearest right key."""
    assert _told(**changes) == told


def test_the_first_problems_are_summed_up_in_one_line() -> None:
    """What no person wrote needs no list: a few problems, and how many more there are."""
    with pytest.raises(ValidationError) as caught:
        StudySpec.model_validate({"nmae": 1, "priority": 101})

    assert summary(caught.value, most=1) == "name: is missing; and 3 more"


def test_a_sequence_is_not_called_short_for_its_refused_items() -> None:
    """The item's own problem is all that is wrong; an empty sequence is still too short."""
    with pytest.raises(ValidationError) as caught:
        ReportBatch.model_validate({"reports": [{"step": 0, "metrics": {}}]})
    assert [each.location for each in invalid(caught.value).problems] == [("reports", 0, "step")]

    with pytest.raises(ValidationError) as caught:
        ReportBatch.model_validate({"reports": []})
    assert [each.location for each in invalid(caught.value).problems] == [("reports",)]


def test_a_header_is_not_reported_again() -> None:
    """It may be a token."""
    item = {
        "type": "string_pattern_mismatch",
        "loc": ("header", "Lease-Token"),
        "msg": "No",
        "input": "s3cret",
    }

    assert [str(problem) for problem in problems([item])] == ["header.Lease-Token: no"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Value error, SEGTUNE_TOKEN is blank", "SEGTUNE_TOKEN is blank"),
        ("Input should be valid", "input should be valid"),
        ("A list", "a list"),
        ("Input should be <Kind.A: 'a'> or <Kind.B: 'b'>", "input should be 'a' or 'b'"),
    ],
)
def test_names_are_left_as_they_are_written(said: str, told: str) -> None:
    """Those of settings keep their capitals, and nothing is told as Python shows it."""
    item = {"type": "value_error", "loc": (), "msg": said, "input": None}
    assert [each.message for each in problems([item])] == [told]
