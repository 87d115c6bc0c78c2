"""Logins of the dashboard: a random cookie stands for a secret that was shown once.

Neither the secret nor the cookie is kept. A login with a token is good while the secret that was
shown is; one with the server's own text while that is the same, which the cookie itself proves.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from tuner.service.tokens import digest
from tuner.store import logins
from tuner.store.engine import Database

_BYTES = 32


class KnownLogin(NamedTuple):
    """What a cookie stands for: the digest of a token's secret, or the proof of the server's."""

    secret_hash: str | None
    proof: str | None
    until: datetime


def begin(db: Database, secret: str, *, is_servers: bool, lasts: timedelta) -> str:
    """Let a browser in that has shown this secret; gives what its cookie is to hold.

    Args:
        is_servers: it is the server's own text, which a person may have chosen: of it the database
            gets nothing that could be guessed at.
    """
    cookie = secrets.token_urlsafe(_BYTES)
    with db.transaction() as session:
        logins.add(
            session,
            digest(cookie),
            secret_hash=None if is_servers else digest(secret),
            proof=proof_of(cookie, secret) if is_servers else None,
            now=db.now(),
            lasts=lasts,
        )
    return cookie


def find(db: Database, cookie: str) -> KnownLogin | None:
    """The login of a cookie, unless it is over. Raises StorageError."""
    with db.reading() as session:
        found = logins.find(session, digest(cookie))
        if found is None or found.expires_at <= db.now():
            return None
        return KnownLogin(found.secret_hash, found.proof, found.expires_at)


def end(db: Database, cookie: str) -> None:
    """Let nobody in with a cookie any more."""
    with db.transaction() as session:
        logins.remove(session, digest(cookie))


def proof_of(cookie: str, secret: str) -> str:
    """What only a holder of both can say."""
    return hmac.new(
        cookie.encode(errors="surrogateescape"),
        secret.encode(errors="surrogateescape"),
        hashlib.sha256,
    ).hexdigest()
