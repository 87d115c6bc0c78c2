"""Params go to Optuna and come back as they were."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import SPACE, few, spaces, study
from tuner.optuna_encoding import decode, distributions, encode
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.space import SearchSpace


@few
@given(spaces(), st.integers(1, 50))
def test_params_come_back_as_they_went(document: dict[str, Any], number: int) -> None:
    """Encoding and decoding any drawn params changes nothing, types included."""
    spec = study(space=document, search={"sampler": "random"})
    params = Suggester(Rules(spec)).draw([], number).params
    values, found = encode(spec.space, params)
    assert values.keys() == found.keys()
    back = decode(spec.space, values)
    assert back == params
    assert all(type(back[path]) is type(params[path]) for path in params)


@few
@given(spaces())
def test_every_dimension_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    """Alternatives of a path are different to Optuna."""
    space = SearchSpace.model_validate(document)
    assert len(distributions(space)) == len(list(space.dimensions()))


def test_alternatives_are_numbered() -> None:
    """A path with one dimension keeps its name."""
    names = set(distributions(SearchSpace.model_validate(SPACE)))
    assert {"optimizer.lr#0", "optimizer.lr#1", "augment.rotate"} <= names


def test_choices_that_python_mixes_up_stay_apart() -> None:
    """1 and true, and a list and its text, survive."""
    space = SearchSpace.model_validate({"a.b": {"choice": [1, True, None, [1, 2], "[1, 2]"]}})
    for value in (1, True, None, [1, 2], "[1, 2]"):
        values, _ = encode(space, {"a.b": value})
        assert decode(space, values) == {"a.b": value}
        assert type(decode(space, values)["a.b"]) is type(value)


def test_what_lies_outside_is_left_out() -> None:
    """A base value beyond the range has no Optuna distribution."""
    space = SearchSpace.model_validate({"augment.rotate": {"int": [0, 30]}})
    assert encode(space, {"augment.rotate": 45}) == ({}, {})
