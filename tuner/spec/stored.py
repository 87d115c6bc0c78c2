"""Stored studies, configs and results as objects, whichever release wrote them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tuner.errors import NewerDocument, Unreadable
from tuner.spec.config import TrialConfig
from tuner.spec.study import StudySpec
from tuner.spec.upgrades import (
    CONFIG_UPGRADES,
    KEY,
    SPEC_VERSION,
    STUDY_UPGRADES,
    Document,
    Upgrade,
    is_newer,
    newer,
    upgraded,
    version_of,
)
from tuner.spec.validation import summary

_REMEDY = "Correct what is stored, or delete it"


def read_spec(document: object, what: str) -> StudySpec:
    """The study of a stored document; `what` names it in messages.

    Raises:
        NewerDocument: a later release wrote it.
        Unreadable: this release cannot read it as a study.
    """
    found = _upgraded(document, what, STUDY_UPGRADES)
    try:
        return StudySpec.model_validate(found)
    except ValidationError as error:
        raise _unreadable(what, error) from None


def read_config(document: object, what: str) -> TrialConfig:
    """The config of a stored document; `what` names it in messages.

    Raises:
        NewerDocument: a later release wrote it.
        Unreadable: this release cannot read it as a config.
    """
    found = _upgraded(document, what, CONFIG_UPGRADES)
    try:
        return TrialConfig.model_validate(found)
    except ValidationError as error:
        raise _unreadable(what, error) from None


def dump_config(config: TrialConfig) -> Document:
    """A config as plain JSON values that say their version."""
    return {**config.model_dump(mode="json"), KEY: SPEC_VERSION}


def upgraded_result(document: Mapping[str, Any], what: str) -> Document:
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


def _upgraded(document: object, what: str, upgrades: Mapping[int, Upgrade]) -> Document:
    if not isinstance(document, Mapping):
        kind = type(document).__name__
        raise Unreadable(
            f"{what} cannot be read: it is stored as {kind}, not as an object. {_REMEDY}"
        )
    version = version_of(document)
    if is_newer(version):
        raise NewerDocument(f"{what} cannot be read: {newer(version)}")
    return upgraded(document, version, upgrades)


def _unreadable(what: str, error: ValidationError) -> Unreadable:
    return Unreadable(f"{what} cannot be read by this release: {summary(error)}. {_REMEDY}")
