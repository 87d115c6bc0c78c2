"""Downloads read many trials in parts, and quote whatever stands in a row."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.store.samples import spec, study_row, trial_row
from tuner.service import downloads, studies, upkeep
from tuner.service.trial_lists import TrialSelection
from tuner.store.engine import Database

NASTY = 'a, "b":\nline 2\r\nend'
TEXTS = {0: NASTY, 1: "-0.5", 2: "-x", 3: "=1+1", 4: "plain"}
OWN: dict[int, dict[str, Any]] = {
    3: {"model.atrous_rates": [6, 12]},
    4: {"optimizer.nesterov": True},
}


@pytest.fixture
def filled(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Five trials, read two at a time; one has a param that nobody searches, one a list."""
    monkeypatch.setattr(downloads, "_PART", 2)
    with database.transaction() as session:
        study = study_row(spec(), trial_count=len(TEXTS))
        session.add(study)
        session.flush()
        for number, text in TEXTS.items():
            trial = trial_row(study, number, reason=text, metrics={"miou": number / 7})
            trial.params = {"optimizer.lr": 1e-5, **OWN.get(number, {})}
            session.add(trial)
    return database


def _read(parts: Iterator[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(parts), newline=""), strict=True))


def test_csv_keeps_order_and_every_value_over_its_parts(filled: Database) -> None:
    """Texts with all that needs quotes, numbers to the last digit, lists as JSON."""
    selection = TrialSelection(sort="miou", descending=True)
    found = _read(downloads.as_csv(filled, downloads.plan(filled, "streets", selection)))

    assert [int(row["number"]) for row in found] == [4, 3, 2, 1, 0]
    assert [float(row["metrics.miou"]) for row in found] == [n / 7 for n in (4, 3, 2, 1, 0)]
    assert found[4]["reason"] == NASTY
    assert [row["reason"] for row in found[:4]] == ["plain", "'=1+1", "'-x", "-0.5"]
    assert json.loads(found[1]["params.model.atrous_rates"]) == [6, 12]
    assert [row["params.optimizer.nesterov"] for row in found] == ["true", "", "", "", ""]


def test_json_is_one_array_over_its_parts(filled: Database) -> None:
    """Whatever the texts are."""
    parts = downloads.as_json(filled, downloads.plan(filled, "streets", TrialSelection()))
    found = json.loads("".join(parts))

    assert [trial["reason"] for trial in found] == list(TEXTS.values())
    assert [trial["metrics"] for trial in found] == [{"miou": n / 7} for n in range(5)]


@pytest.mark.parametrize("begun", [True, False])
def test_a_study_that_is_deleted_meanwhile_is_read_to_its_end(
    filled: Database, *, begun: bool
) -> None:
    """Its rows are there as long as it can be restored, whatever its name is given to."""
    found = downloads.plan(filled, "streets", TrialSelection())
    lines, array = downloads.as_csv(filled, found), downloads.as_json(filled, found)
    head = [next(lines), next(lines)] if begun else []
    studies.delete(filled, "streets")
    studies.submit(filled, spec())

    assert [row["number"] for row in _read(iter([*head, *lines]))] == ["0", "1", "2", "3", "4"]
    assert [trial["number"] for trial in json.loads("".join(array))] == [0, 1, 2, 3, 4]


def test_a_study_that_is_removed_meanwhile_says_so(filled: Database) -> None:
    """The file is sound, and its end says that it is not whole."""
    found = downloads.plan(filled, "streets", TrialSelection())
    lines, array = downloads.as_csv(filled, found), downloads.as_json(filled, found)
    begun, first = [next(lines), next(lines)], [next(array) for _ in range(2)]
    studies.delete(filled, "streets")
    upkeep.remove_deleted(filled, timedelta(0))

    rows = _read(iter([*begun, *lines]))
    items = json.loads("".join([*first, *array]))
    said = "study 'streets' was deleted meanwhile: this file is not whole"
    assert [row["number"] for row in rows] == ["0", "1", said]
    assert [item.get("number") for item in items] == [0, 1, None]
    assert items[-1] == {"error": said}
