"""Stored studies, configs and results as objects, whichever release wrote them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tuner.errors import NewerDocument, Unreadable
from tuner.spec.config import TrialConfig
from tuner.spec.study import StudySpec
from tuner.spec.upgrades import (
    CONFIG_UPGRADES,
    KEY,
    SPEC_VERSION,
    STUDY_UPGRADES,
    JsonObject,
    Upgrade,
    is_newer,
    newer,
    upgraded,
    version_of,
)
from tuner.spec.validation import summary

_Model = TypeVar("_Model", bound=BaseModel)
_REMEDY = "Correct what is stored, or delete it"


def read_spec(document: object, what: str) -> StudySpec:
    """The study of a stored document; `what` names it in messages.

    Raises:
        NewerDocument: a later release wrote it.
        Unreadable: this release cannot read it as a study.
    """
    return _read(StudySpec, _upgraded(document, what, STUDY_UPGRADES), what)


def read_config(document: object, what: str) -> TrialConfig:
    """The config of a stored document; `what` names it in messages.

    Raises:
        NewerDocument: a later release wrote it.
        Unreadable: this release cannot read it as a config.
    """
    return _read(TrialConfig, _upgraded(document, what, CONFIG_UPGRADES), what)


def dump_config(config: TrialConfig) -> JsonObject:
    """A config as plain JSON values that say their version."""
    return {**config.model_dump(mode="json"), KEY: SPEC_VERSION}


def upgraded_result(document: Mapping[str, Any], what: str) -> JsonObject:
    """A document of `segtune best`, or a bare config, in this release's language.

    Raises:
        NewerDocument: a later release wrote it.
    """
    if isinstance(document.get("config"), Mapping):
        stated = {KEY: version_of(document), **document["config"]}
        return {
            **document,
            "config": _upgraded(stated, what, CONFIG_UPGRADES),
            KEY: SPEC_VERSION,
        }
    return _upgraded(document, what, CONFIG_UPGRADES)


def _upgraded(document: object, what: str, upgrades: Mapping[int, Upgrade]) -> JsonObject:
    if not isinstance(document, Mapping):
        kind = type(document).__name__
        raise Unreadable(
            f"{what} cannot be read: it is stored as {kind}, not as an object. {_REMEDY}"
        )
    version = version_of(document)
    if is_newer(version):
        raise NewerDocument(f"{what} cannot be read: {newer(version)}")
    return upgraded(document, version, upgrades)


def _read(model: type[_Model], document: JsonObject, what: str) -> _Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problem = f"{what} cannot be read by this release: {summary(error)}"
        raise Unreadable(f"{problem}. {_REMEDY}") from None
