"""Documents made to keep a server busy: each is read, or refused, in time that grows with its size.

Where that is not so these tests do not fail by a clock: they take minutes, and run out of time.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from tests.unit.samples import document
from tuner.cli.app import app
from tuner.configs import checks
from tuner.errors import InvalidInput, InvalidSpec
from tuner.spec.documents import MAX_NODES, has_at_most, parse_json
from tuner.spec.hints import nearest
from tuner.spec.messages import ReportBatch
from tuner.spec.space import Choice, Int
from tuner.spec.validation import invalid

LONG = 300_000


@pytest.mark.parametrize("text", ["x", "a.", "://", "../", "x+"])
@pytest.mark.parametrize(
    "place", ["dataset.root", "dataset.group", "base.model.weights", "base.model.decoder"]
)
def test_no_text_is_too_long(place: str, text: str) -> None:
    """Paths, patterns and names are looked at once from end to end, whatever they hold."""
    study = document()
    *parents, key = place.split(".")
    section = study
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = text * (LONG // len(text))
    with suppress(InvalidInput):
        checks.parse(study)


@pytest.mark.parametrize(
    "pattern", ["(" * 500 + "a" + ")" * 500, "(a{99999999999999})", "(a" * 333, "(a" * LONG]
)
def test_no_pattern_is_too_deep(pattern: str) -> None:
    """What Python cannot compile is a mistake like any other."""
    study = document()
    study["dataset"]["group"] = pattern
    with pytest.raises(InvalidSpec, match=r"dataset(\.group)?: "):
        checks.parse(study)


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"training.batch_size": {"choice": [*range(1, 30_000)]}}},
        {"space": {f"optimizer.x{n}": {"choice": [1]} for n in range(4000)}},
        {"search": {"prior": {"presets": [f"x{n}" for n in range(30_000)]}}},
        {f"x{n}": 1 for n in range(30_000)},
    ],
    ids=["choices", "paths", "presets", "keys"],
)
def test_a_study_has_a_bounded_number_of_values(changes: dict[str, Any]) -> None:
    """In JSON as in YAML, submitted or cloned: more is refused before it is checked."""
    with pytest.raises(InvalidSpec, match=f"more than {MAX_NODES} values"):
        checks.parse(document(**changes))


def test_values_are_counted_wherever_they_stand() -> None:
    """Lists and mappings count themselves; nothing is counted beyond the bound."""
    tree = {"a": [1, 2, {"b": None}], "c": "text"}
    assert has_at_most(7, tree)
    assert not has_at_most(6, tree)
    round_ = list[Any]()
    round_.append(round_)
    assert not has_at_most(1000, round_)


def test_a_hundred_mistakes_are_told() -> None:
    """The others are counted."""
    with pytest.raises(InvalidSpec) as caught:
        checks.parse(document(**{f"x{n}": 1 for n in range(1000)}))
    assert len(caught.value.problems) <= 102
    assert "and 900 more mistakes" in str(caught.value)


def test_what_is_wrong_all_over_is_one_mistake() -> None:
    """Thousands of numbers that are none are not listed one by one."""
    matrix = [["x"] * 200] * 100
    with pytest.raises(ValidationError) as caught:
        ReportBatch.model_validate(
            {"reports": [{"step": 1, "metrics": {"miou": 0.5}, "confusion": matrix}]}
        )
    assert "mistakes: it is not a ReportBatch at all" in str(invalid(caught.value))


def test_a_batch_is_counted_before_it_is_read() -> None:
    """Each of its reports would be a mistake of its own."""
    with pytest.raises(ValidationError, match="1000 reports at most, not 300000"):
        ReportBatch.model_validate({"reports": [[]] * LONG})


@pytest.mark.parametrize("bounds", [[0, 10**400], [-(10**400), 0], [0, 2**63]])
def test_whole_numbers_have_a_range(bounds: list[int]) -> None:
    """That of 64 bits, which samplers and databases have, too."""
    study = document(space={"augment.rotate": {"int": bounds}})
    with pytest.raises(InvalidSpec, match=r"space\.augment\.rotate"):
        checks.parse(study)
    assert Int(int=(-(2**63), 2**63 - 1)).contains(5)


def test_a_choice_may_be_long() -> None:
    """Twice the same is found in it; true is not 1, and 1.0 is."""
    assert len(Choice(choice=tuple(range(50_000))).choice) == 50_000
    assert len(Choice(choice=(True, 1, "1", [1, 2], [1, 3], None)).choice) == 6
    for twice in ((1, 1.0), ([1, 2], [1, 2]), (None, None)):
        with pytest.raises(ValidationError, match="twice"):
            TypeAdapter(Choice).validate_python({"choice": [*range(5, 100), *twice]})


def test_a_number_of_any_length_is_seen() -> None:
    """Digits without end are no number; many that are long are looked at once."""
    with pytest.raises(InvalidInput, match="finite"):
        parse_json(b"[1" + b"0" * 400 + b".5]")
    assert len(parse_json(b"[" + (b"1" * 199 + b",") * 2000 + b"1]")) == 2001


def test_a_long_word_is_near_to_no_name() -> None:
    """All that are right are listed instead."""
    assert nearest("ocr" * LONG, ["ocr", "fcn"]) == "valid are: ocr, fcn"


@pytest.mark.parametrize("command", ["submit", "plan", "train"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", "a: &a [x]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n"
            for n in range(12)
        ), "aliases grow"),
        ("a.yaml", "[" * 10_000, "nested more than 64 levels"),
        ("a.yaml", "a: \"\\0\"", "NUL"),
        ("a.json", "[" * 10_000, "recursion limit"),
        ("a.json", '{"a": "\\u0000"}', "NUL"),
        ("a.yaml", "#" * 200_000, "larger than 128 KiB"),
    ],
)  # fmt: skip
def test_commands_refuse_hostile_files(
    command: str, name: str, content: str, said: str, tmp_path: Path
) -> None:
    """With the file's name and without a traceback."""
    path = tmp_path / name
    path.write_text(content)
    result = CliRunner().invoke(app, [command, str(path)])

    assert result.exit_code == 2, result.output
    assert said in result.output.replace("\n", " ")
    assert name in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
