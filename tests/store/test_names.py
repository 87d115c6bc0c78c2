"""Ids and names of studies: a number is an id, anything else a name, on both databases."""

import pytest

from tests.store.samples import spec
from tuner.errors import InvalidSpec, NotFound
from tuner.service import overview, studies
from tuner.spec.views import CloneRequest
from tuner.store.engine import Database


def _submit(database: Database, name: str) -> int:
    return studies.submit(database, spec(name))[0].id


def test_a_number_is_an_id(database: Database) -> None:
    """A study that an earlier release called `1` is not deleted in place of the study 1."""
    first = _submit(database, "first")
    old = _submit(database, str(first))

    studies.delete(database, str(first))

    assert overview.study(database, str(old)).name == str(first)
    with pytest.raises(NotFound, match="no study has the id"):
        overview.study(database, str(first))


@pytest.mark.parametrize("text", ["0", "9" * 30, "１", "+1", "1.0", "01x", "", "a" * 500])
def test_what_is_neither_is_not_found(database: Database, text: str) -> None:
    """No spelling of a number but its digits means an id."""
    _submit(database, "first")
    with pytest.raises(NotFound):
        overview.study(database, text)


def test_names_differ_by_case(database: Database) -> None:
    """`Street` and `street` are two studies, each found by its own name."""
    ids = {name: _submit(database, name) for name in ("street", "Street", "STREET")}

    assert ids == {name: overview.study(database, name).id for name in ids}
    assert studies.clone(database, "street", CloneRequest()).name == "street-2"


def test_the_longest_name_can_be_cloned(database: Database) -> None:
    """A copy's name has room for its number."""
    _submit(database, "a" * 100)
    names = [studies.clone(database, "a" * 100, CloneRequest()).name for _ in range(2)]

    assert names == ["a" * 94 + "-2", "a" * 94 + "-3"]


def test_a_trial_by_hand_leads_nowhere_else(database: Database) -> None:
    """Params that are paths are held to what a study's are."""
    study = _submit(database, "first")
    with pytest.raises(InvalidSpec, match=r"params\.model\.weights"):
        studies.enqueue(database, study, {"model.weights": "../w.pt"})
