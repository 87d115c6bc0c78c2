"""Tokens: made, listed, given new secrets and revoked; and what a server knows of them."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from tuner.errors import Conflict
from tuner.service import acting
from tuner.spec.access import (
    Caller,
    DeedKind,
    NewToken,
    RotationRequest,
    TokenRequest,
    TokenScope,
    TokenState,
    TokenView,
    implied,
)
from tuner.store import tokens
from tuner.store.engine import Database
from tuner.store.tables import Token

_PREFIX = "segtune_"  # by which people, and programs that look for leaked secrets, know one
_BYTES = 32


class Secret(NamedTuple):
    """One secret that lets a caller in, by its digest, until then."""

    digest: str
    token: int
    caller: Caller
    until: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Whether it lets in at that time."""
        return self.until is None or now < self.until


class KnownTokens(NamedTuple):
    """What a server remembers of the tokens for a moment."""

    secrets: Mapping[str, Secret]
    is_any: bool  # whether there was ever a token, be it revoked
    now: datetime


def digest(secret: str) -> str:
    """What is kept of a secret: it is random, so a plain digest of it tells nothing."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def create(db: Database, request: TokenRequest) -> NewToken:
    """Make a token; its secret is in the answer and nowhere else. Raises Conflict."""
    secret = _new_secret()
    with db.transaction() as session:
        now = db.now()
        new = tokens.TokenRow(
            name=request.name,
            owner=request.owner or request.name,
            scopes=request.scopes,
            secret_hash=digest(secret),
            expires_at=_after(now, request.days),
        )
        made = tokens.add(session, new, now=now)
        said = {"owner": made.owner, "scopes": list(request.scopes), "days": request.days}
        acting.note(session, DeedKind.ADMIT, made.name, now=now, details=said)
        return _with_secret(made, secret, now)


def everyone(db: Database) -> tuple[TokenView, ...]:
    """Every token, revoked ones too, the oldest first."""
    with db.reading() as session:
        now = db.now()
        return tuple(_view(token, now) for token in tokens.everyone(session))


def rotate(db: Database, name: str, request: RotationRequest) -> NewToken:
    """Give a token a new secret; the old one stays good for the overlap, and no longer than it was.

    Raises:
        NotFound: no token is called so.
        Conflict: it is revoked, or expired and given no new time.
    """
    secret = _new_secret()
    with db.transaction() as session:
        token, now = tokens.lock(session, name), db.now()
        state = _state(token, now)
        if state == "revoked" or (state == "expired" and request.days is None):
            remedy = "make another one" if state == "revoked" else "give it new days, too"
            raise Conflict(f"the token '{name}' is {state}; {remedy}")
        overlap = now + timedelta(hours=request.overlap_hours)
        old_until = overlap if token.expires_at is None else min(overlap, token.expires_at)
        until = _after(now, request.days) or token.expires_at
        tokens.give_secret(token, digest(secret), old_until=old_until, expires_at=until)
        said = request.model_dump(mode="json")
        acting.note(session, DeedKind.ROTATE, name, now=now, details=said)
        return _with_secret(token, secret, now)


def revoke(db: Database, name: str) -> TokenView:
    """Let nobody in with a token any more, nor with its secret before. Raises NotFound."""
    with db.transaction() as session:
        token, now = tokens.lock(session, name), db.now()
        tokens.revoke(token, now=now)
        acting.note(session, DeedKind.REVOKE, name, now=now)
        return _view(token, now)


def known(db: Database) -> KnownTokens:
    """Every secret that lets a caller in now, and until when. Raises StorageError."""
    with db.reading() as session:
        now = db.now()
        found = tokens.everyone(session)
        good = {
            secret.digest: secret
            for token in found
            for secret in _secrets(token)
            if token.revoked_at is None and secret.is_good(now)
        }
    return KnownTokens(good, is_any=bool(found), now=now)


def note_used(db: Database, used: Mapping[int, datetime]) -> None:
    """Write when tokens were last used, by their ids. Raises StorageError."""
    if used:
        with db.transaction() as session:
            tokens.note_used(session, used)


def _secrets(token: Token) -> list[Secret]:
    caller = Caller(token.name, token.owner, implied(frozenset(_scopes(token))))
    found = [Secret(token.secret_hash, token.id, caller, token.expires_at)]
    if token.previous_hash is not None:
        found.append(Secret(token.previous_hash, token.id, caller, token.previous_until))
    return found


def _scopes(token: Token) -> tuple[TokenScope, ...]:
    """The token's scopes; one of a later release allows nothing here."""
    names = token.scopes.split(",")
    return tuple(scope for scope in TokenScope if scope in names)


def _state(token: Token, now: datetime) -> TokenState:
    if token.revoked_at is not None:
        return "revoked"
    is_over = token.expires_at is not None and token.expires_at <= now
    return "expired" if is_over else "valid"


def _view(token: Token, now: datetime) -> TokenView:
    is_overlapping = token.previous_until is not None and token.previous_until > now
    return TokenView(
        name=token.name,
        owner=token.owner,
        scopes=_scopes(token),
        state=_state(token, now),
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=token.last_used_at,
        overlap_until=token.previous_until if is_overlapping else None,
    )


def _with_secret(token: Token, secret: str, now: datetime) -> NewToken:
    return NewToken(**dict(_view(token, now)), secret=secret)


def _new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def _after(now: datetime, days: float | None) -> datetime | None:
    return None if days is None else now + timedelta(days=days)
