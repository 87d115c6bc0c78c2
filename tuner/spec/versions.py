"""Versions of a study's data, by fingerprint: only trials of one of them are compared.

Why the newest, and what counts as one: `docs/decisions/0017-one-version-of-the-data.md`.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from tuner.spec.config import Section

_SHOWN = 12  # of a fingerprint's 64 digits


class DataVersions(Section):
    """The versions that trials were trained on, in order of appearance, and which have a result."""

    seen: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self:
        """As a study's row holds them."""
        return cls.model_validate(stored or {})

    @property
    def ranked(self) -> str | None:
        """The version whose trials are ranked: the newest with a completed trial, or the newest."""
        with_result = [version for version in self.seen if version in self.completed]
        return next(reversed(with_result or self.seen), None)

    def with_seen(self, version: str) -> Self:
        """A trial reported that it is trained on this version."""
        if version in self.seen:
            return self
        return self.model_copy(update={"seen": (*self.seen, version)})

    def with_completed(self, version: str) -> Self:
        """A trial of the search completed on this version."""
        found = self.with_seen(version)
        if version in found.completed:
            return found
        return found.model_copy(update={"completed": (*found.completed, version)})

    def without(self, version: str) -> Self:
        """No trial is left that was trained on this version."""
        left = {
            name: tuple(each for each in getattr(self, name) if each != version)
            for name in ("seen", "completed")
        }
        return self.model_copy(update=left)

    def warning(self) -> str | None:
        """What the study's owner should know; None while there is one version."""
        if len(self.seen) < 2:
            return None
        versions = ", ".join(map(short, self.seen))
        return (
            f"the data changed while the study ran (versions in order of appearance: {versions}); "
            f"only trials on version {short(self.ranked)} are ranked and compared, others are left "
            "out; clone the study to search on the present data alone"
        )


class DataVersion(Section):
    """One version of a study's data, and the trials that were trained on it."""

    fingerprint: str
    trials: int
    ranked: bool = Field(description="Whether the study ranks these trials, and no others")


def short(version: str | None) -> str:
    """The first digits of a fingerprint, enough to tell versions apart."""
    return (version or "unknown")[:_SHOWN]


def is_comparable(version: str | None, ranked: str | None) -> bool:
    """Whether a trial counts with those of the ranked version; one of unknown version does."""
    return version is None or ranked is None or version == ranked
