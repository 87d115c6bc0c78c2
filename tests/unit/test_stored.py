"""Stored documents say the version of their language, and those of earlier releases are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner.cli.documents import read_result
from tuner.configs import checks
from tuner.configs.resolve import complete
from tuner.errors import InvalidSpec, NewerDocument, Unreadable
from tuner.spec import stored, upgrades
from tuner.spec.config import TrialConfig
from tuner.spec.stored import dump_config, read_config, read_spec, upgraded_result
from tuner.spec.study import StudySpec
from tuner.spec.upgrades import SPEC_VERSION

# What the release without versions stored, byte for byte: never edited, only added to.
FIRST = Path(__file__).parent / "documents" / "v1"
STUDIES = sorted(FIRST.glob("study-*.json"))


def load(path: Path) -> dict[str, Any]:
    """The document of that file."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def kept(now: Any, then: Any) -> Any:
    """What is read, without the keys that a later release has added."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: kept(now[key], value) for key, value in then.items()}
    return now


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_of_the_first_version_are_read(path: Path) -> None:
    """Every value is the one that was stored, and the document says its version from then on."""
    document = load(path)
    spec = read_spec(document, "it")
    dumped = spec.dump()
    assert dumped.pop("spec_version") == SPEC_VERSION
    assert kept(dumped, document) == document
    assert read_spec(spec.dump(), "it") == spec


@pytest.mark.parametrize("name", ["trial-drawn.json", "best.json"])
def test_configs_of_the_first_version_are_read(name: str) -> None:
    """A trial's config and a result's hold the values that they were stored with."""
    document = load(FIRST / name)
    document = document.get("config", document)
    config = read_config(document, "it")
    assert kept(json.loads(config.model_dump_json()), document) == document
    assert complete(config)
    assert read_config(dump_config(config), "it") == config


def test_a_result_of_the_first_version_is_read() -> None:
    """`segtune train` takes a file that an earlier `segtune best` wrote."""
    config, best = read_result(FIRST / "best.json")
    assert best is not None
    assert (best.config, best.spec_version) == (config, SPEC_VERSION)
    bare, nothing = read_result(FIRST / "trial-drawn.json")
    assert (bare.optimizer.name, nothing) == ("adamw", None)


def test_what_an_earlier_version_meant_is_carried_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version's function is applied in turn, to stored studies and to submitted ones."""
    document = load(FIRST / "study-demo.json")

    def named(key: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda old: {**old, key: value}

    steps = {1: named("priority", 11), 2: named("weight", 3.0)}
    for module in (upgrades, stored):
        monkeypatch.setattr(module, "SPEC_VERSION", 3)
        monkeypatch.setattr(module, "STUDY_UPGRADES", steps)
    found = read_spec(document, "it")
    assert (found.priority, found.weight) == (11, 3.0)
    later = read_spec({**document, "spec_version": 2}, "it")
    assert (later.priority, later.weight) == (50, 3.0)
    submitted = StudySpec.model_validate({**document, "spec_version": 1})
    assert (submitted.priority, submitted.weight) == (11, 3.0)
    # Who writes a study by hand writes this release's language.
    assert StudySpec.model_validate(document).priority == 50


def test_there_is_a_step_from_every_version() -> None:
    """Nothing that was ever stored lacks its way to this release."""
    assert set(upgrades.STUDY_UPGRADES) == set(range(1, SPEC_VERSION))
    assert set(upgrades.CONFIG_UPGRADES) == set(range(1, SPEC_VERSION))


@pytest.mark.parametrize(
    "read",
    [
        lambda document: read_spec(document, "study 'demo'"),
        lambda document: read_config(document, "study 'demo'"),
        lambda document: upgraded_result(document, "study 'demo'"),
        lambda document: upgraded_result({"config": document}, "study 'demo'"),
    ],
    ids=["study", "config", "bare config", "result"],
)
def test_a_newer_document_is_refused_with_what_to_do(read: Callable[[Any], object]) -> None:
    """Unknown keys of a later language are not what is wrong with it."""
    document = {"spec_version": SPEC_VERSION + 1, "hologram": True}
    with pytest.raises(NewerDocument) as caught:
        read(document)
    text = str(caught.value)
    assert "study 'demo' cannot be read" in text
    assert f"spec_version {SPEC_VERSION + 1} is newer" in text
    assert f"reads up to {SPEC_VERSION}" in text
    assert "install the release that wrote it" in text
    assert "hologram" not in text


def test_a_newer_study_is_refused_at_submission_too() -> None:
    """The problem stands at the key."""
    document = {**load(FIRST / "study-demo.json"), "spec_version": SPEC_VERSION + 1}
    with pytest.raises(InvalidSpec) as caught:
        checks.parse(document)
    assert [problem.location for problem in caught.value.problems] == [("spec_version",)]
    assert "newer than this release" in str(caught.value)


@pytest.mark.parametrize(
    "document", [None, [], "a study", 7, {}, {"name": "x", "spec_version": "two"}]
)
def test_what_is_no_document_is_named(document: object) -> None:
    """Damage is told by what was asked for, never by a traceback."""
    for read in (read_spec, read_config):
        with pytest.raises(Unreadable, match="the thing cannot be read"):
            read(document, "the thing")


def test_a_config_says_its_version_only_where_it_is_stored() -> None:
    """What a worker trains and what its checkpoints are named by has no version in it."""
    assert dump_config(_config())["spec_version"] == SPEC_VERSION
    assert "spec_version" not in TrialConfig.model_fields


def _config() -> TrialConfig:
    return read_config(load(FIRST / "trial-drawn.json"), "it")
