"""Tokens and callers: the scopes of a token, and what is said of tokens over HTTP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, field_validator

from tuner.spec.config import Section

MOST_DAYS = 3650
TokenName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
TokenState = Literal["valid", "expired", "revoked"]


class TokenScope(StrEnum):
    """What a token is for."""

    READ = "read"
    SUBMIT = "submit"
    WORKER = "worker"
    ADMIN = "admin"


EVERYTHING = frozenset(TokenScope)
_IMPLIED = {
    TokenScope.READ: frozenset({TokenScope.READ}),
    TokenScope.SUBMIT: frozenset({TokenScope.SUBMIT, TokenScope.READ}),
    TokenScope.WORKER: frozenset({TokenScope.WORKER}),
    TokenScope.ADMIN: EVERYTHING,
}


def implied(scopes: frozenset[TokenScope]) -> frozenset[TokenScope]:
    """These scopes with those that they bring: who submits may read, an admin may do all."""
    return frozenset[TokenScope]().union(*(_IMPLIED[scope] for scope in scopes))


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller: name and owner of the token, and everything that its scopes allow."""

    name: str
    owner: str | None  # None: nobody in particular, who owns no study
    scopes: frozenset[TokenScope]

    def may(self, wanted: frozenset[TokenScope]) -> bool:
        """Whether one of these scopes is among the caller's."""
        return bool(self.scopes & wanted)


class TokenRequest(Section):
    """A token to be made."""

    name: TokenName = Field(description="How the token is called; no two are called the same")
    owner: TokenName | None = Field(default=None, description="Whose it is; default: its name")
    scopes: tuple[TokenScope, ...] = Field(min_length=1, description="What it is for")
    days: float | None = Field(
        default=None, gt=0, le=MOST_DAYS, description="Until it expires; default: never"
    )

    @field_validator("scopes")
    @classmethod
    def _each_once(cls, scopes: tuple[TokenScope, ...]) -> tuple[TokenScope, ...]:
        return tuple(scope for scope in TokenScope if scope in scopes)


class RotationRequest(Section):
    """A new secret for a token, whose old one stays good for a while."""

    overlap_hours: float = Field(
        default=24, ge=0, le=24 * MOST_DAYS, description="How long the old secret stays good"
    )
    days: float | None = Field(
        default=None, gt=0, le=MOST_DAYS, description="Until it expires; default: as it was"
    )


class TokenView(Section):
    """A token as a list shows it: never its secret."""

    name: str
    owner: str
    scopes: tuple[TokenScope, ...]
    state: TokenState
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = Field(default=None, description="To the minute")
    overlap_until: AwareDatetime | None = Field(
        default=None, description="Until when the secret before the last rotation is good"
    )


class DeedKind(StrEnum):
    """What a caller can do that is kept."""

    SUBMIT = "study.submit"
    CLONE = "study.clone"
    CHANGE = "study.change"
    DELETE = "study.delete"
    RESTORE = "study.restore"
    IMPORT = "study.import"
    ENQUEUE = "trial.enqueue"
    CANCEL_TRIAL = "trial.cancel"
    RETRY = "trial.retry"
    DRAIN = "worker.drain"
    UNDRAIN = "worker.undrain"
    LIMIT = "owner.limit"
    HOLD = "maintenance.on"
    RELEASE = "maintenance.off"
    ADMIT = "token.create"
    ROTATE = "token.rotate"
    REVOKE = "token.revoke"


class OwnerView(Section):
    """What the studies of an owner have trained, and may."""

    owner: str
    studies: int
    hours: float = Field(description="Device hours that they have trained")
    limit: float | None = Field(default=None, description="Those that they may; None: any")


class OwnerChange(Section):
    """How many device hours the studies of an owner may train."""

    hours: float | None = Field(
        ge=0, le=1e9, description="All together, with those trained so far; null: any"
    )


class MaintenanceRequest(Section):
    """Why no trial is given out."""

    reason: str = Field(default="", max_length=500)


class MaintenanceView(Section):
    """Whether trials are given out."""

    is_on: bool
    reason: str = ""
    since: AwareDatetime | None = None


class DeedView(Section):
    """One line of the audit trail."""

    id: int
    at: AwareDatetime
    caller: str = Field(description="Name of the token; `local` for a command on the database")
    owner: str | None = None
    action: str
    target: str = Field(description="Name of the study, worker or token; a trial's number after it")
    study_id: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class NewToken(TokenView):
    """A token with its secret, which is shown this once and kept nowhere."""

    secret: str
