"""The language of filters: what is read, what is written, and how a mistake is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, study
from tuner.errors import InvalidInput
from tuner.service.filters import predicate
from tuner.spec.filters import (
    MOST_CHARACTERS,
    Among,
    Condition,
    Every,
    Given,
    Negation,
    Op,
    Some,
    parse,
    write,
)

_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["and", "In", "none", "sgd", "iou.[a, b]", ".5", "1e3", "a b", 'a"b\\', "é"]),
)
_given = st.builds(Given, _values)
_names = st.one_of(
    st.text(max_size=12), st.sampled_from(["miou", "iou.[car, bus]", "not", "traffic light", "1"])
)
_expressions = st.recursive(
    st.builds(Condition, _names, st.sampled_from(Op), _given)
    | st.builds(Among, _names, st.lists(_given, min_size=1, max_size=3).map(tuple)),
    lambda inner: (
        st.builds(Negation, inner)
        | st.builds(Every, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Some, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


@few
@given(_expressions)
def test_what_is_written_is_read_back_as_the_same(expression: object) -> None:
    """A page may keep a filter as text, whatever it holds."""
    assert parse(write(expression)) == expression  # type: ignore[arg-type]  # built by hypothesis


@few
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from([*"()[],=<>~!'\"\\ ", "and", "or", "not", "in", "miou", ".6", "1e9999"]),
        max_size=60,
    ).map(" ".join)
)
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    """There is no third way, and the place is one of the text's characters, or just after it."""
    try:
        parse(text)
    except InvalidInput as error:
        (problem,) = error.problems
        assert problem.location == ("filter",)
        assert 1 <= int(problem.source.removeprefix("character ")) <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a=1&&b==2||c!=3", "a = 1 and b = 2 or c != 3"),
        ("NOT a = TRUE And b = None", "not a = true and b = none"),
        ("a not in [x , 'y z',-.5]", 'not a in [x, "y z", -0.5]'),
        ("(a = 1 or b = 2) and c = 3", "(a = 1 or b = 2) and c = 3"),
        ("a = 1 or (b = 2 and c = 3)", "a = 1 or b = 2 and c = 3"),
        ("iou.[road, car] >= 5e-1", "iou.[road, car] >= 0.5"),
        ("at > 2026-11-20T14:30+01:00", "at > 2026-11-20T14:30+01:00"),
        (r"a ~ 'it\'s \d'", r'a ~ "it' "'" r's \\d"'),
    ],
)
def test_many_spellings_mean_the_same(text: str, meant: str) -> None:
    """Signs as other languages have them, any case, either quotes."""
    assert write(parse(text)) == meant


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "character 1: filter: a comparison begins with a name"),
        ("miou", r"character 5: .*after the name 'miou' comes one of = != .*the end"),
        ("miou > .6 miou", "character 11: .*`and`, `or` or the end; 'miou' does not fit"),
        (".6 < miou", "character 1: .*begins with a name, as in miou > .6; '.6'"),
        ("(miou > .6", r"character 11: .*the `\(` at character 1 needs a `\)`"),
        ("name = 'sgd", "character 8: .*needs a second '"),
        ("name in sgd", r"character 9: .*a list, as in \[sgd, adamw\]"),
        ("name in [sgd adamw]", "character 14: .*goes on with `,` or ends"),
        ("miou > 1e999", "character 8: .*too large a number"),
        ("(" * 50 + "a = 1", "character 41: .*nested more than 40 deep"),
        ("a = 1 and " * 300 + "a = 1", f"at most {MOST_CHARACTERS:,} characters"),
    ],
)
def test_a_mistake_in_the_language_is_told_with_its_character(text: str, told: str) -> None:
    """What was seen, and what could stand there."""
    with pytest.raises(InvalidInput, match=told):
        parse(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mio > .6", "character 1: .*no column, param or metric is called 'mio'; .*'miou'"),
        ("state = fail", "character 9: .*no state is called 'fail'; .*'failed'"),
        ("iou.cat > .5", "character 1: .*did you mean 'iou.car'"),
        ("miou > high", "character 8: .*miou is a number, which 'high' is not"),
        ("miou = true", "character 8: .*miou is a number, which true is not"),
        ("feasible = 1", "character 12: .*feasible is true or false, which 1 is not"),
        ("optimizer.name < sgd", "character 18: .*optimizer.name is a text; compare it by ="),
        ("created > yesterday", "character 11: .*time such as 2026-11-20.*'yesterday' is not"),
        ("created ~ 2026", "character 11: .*`~` looks for a part of a text"),
        ("miou > none", "character 8: .*only numbers and times"),
        ("momentun = .9", "character 1: .*did you mean 'momentum'"),
    ],
)
def test_a_mistake_in_meaning_is_told_with_its_character(text: str, told: str) -> None:
    """Names and values are held against the study: what is possible is said."""
    with pytest.raises(InvalidInput, match=told):
        predicate(study(), text)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lr", "optimizer.lr"),
        ("optimizer", "optimizer.name"),
        ("epoch", "step"),
        ("trial", "number"),
        ("iou.[car, road]", "iou.[car, road]"),
        ("recall.worst", "recall.worst"),
        ("momentum", "optimizer.momentum"),
        ("metrics.lr", "lr"),
        ("images_per_s", "images_per_s"),
        ("params.lr", "optimizer.lr"),
    ],
)
def test_a_name_is_a_column_a_param_a_metric_or_a_path(name: str, found: str) -> None:
    """The shortest clear name does, and what workers report has the name they give it."""
    meant = predicate(study(), f"{name} = 1", ["lr", "images_per_s"])
    assert meant is not None
    assert [field.name for field in meant.fields] == [found]


def test_a_blank_filter_is_none() -> None:
    """Who clears the box asks for everything."""
    assert predicate(study(), "  ") is None
