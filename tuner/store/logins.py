"""Rows of logins."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from tuner.store.tables import Login


def add(
    session: Session,
    cookie_hash: str,
    *,
    secret_hash: str | None,
    proof: str | None,
    now: datetime,
    lasts: timedelta,
) -> None:
    """Keep a login for that long, and drop those that are over."""
    session.execute(delete(Login).where(Login.expires_at <= now))
    login = Login(
        cookie_hash=cookie_hash,
        secret_hash=secret_hash,
        proof=proof,
        created_at=now,
        expires_at=now + lasts,
    )
    session.add(login)
    session.flush()


def find(session: Session, cookie_hash: str) -> Login | None:
    """The login with that cookie."""
    return session.get(Login, cookie_hash)


def remove(session: Session, cookie_hash: str) -> None:
    """Drop a login, if there is one."""
    session.execute(delete(Login).where(Login.cookie_hash == cookie_hash))
