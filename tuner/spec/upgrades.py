"""Versions of the language in which studies and configs are stored, and how older ones are read.

A stored document carries `spec_version`; one without it is of version 1, which had no such key.
A release that changes what a key means, or takes one away, raises `SPEC_VERSION` and adds the
function that makes a document of the version before into one of the new version. A new key with a
default that leaves everything as it was needs neither.
"""

from collections.abc import Callable, Mapping
from typing import Any

KEY = "spec_version"
SPEC_VERSION = 2
JsonObject = dict[str, Any]
Upgrade = Callable[[JsonObject], JsonObject]


def _as_it_is(document: JsonObject) -> JsonObject:
    """Version 2 differs from version 1 by saying its version."""
    return document


# What makes a document of that version into one of the next.
STUDY_UPGRADES: Mapping[int, Upgrade] = {1: _as_it_is}
CONFIG_UPGRADES: Mapping[int, Upgrade] = {1: _as_it_is}


def version_of(document: Mapping[str, Any], *, default: int = 1) -> int:
    """The version that a document says it has; what is not a version counts as the default."""
    version = document.get(KEY, default)
    is_version = isinstance(version, int) and not isinstance(version, bool) and version >= 1
    return version if is_version else default


def is_newer(version: int) -> bool:
    """Whether this release came before a version."""
    return version > SPEC_VERSION


def newer(version: int) -> str:
    """What is wrong with a document of a newer version, and what to do."""
    return (
        f"{KEY} {version} is newer than this release of segtune, which reads up to "
        f"{SPEC_VERSION}; install the release that wrote it, or a later one"
    )


def upgraded(
    document: Mapping[str, Any], version: int, upgrades: Mapping[int, Upgrade]
) -> JsonObject:
    """A document of that version as one of this release's; its own version is left out."""
    found = {key: value for key, value in document.items() if key != KEY}
    for step in range(version, SPEC_VERSION):
        found = upgrades[step](found)
    return found
