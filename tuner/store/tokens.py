"""Rows of tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tuner.errors import Conflict, NotFound
from tuner.store.tables import Token


class TokenRow(NamedTuple):
    """A token to be kept."""

    name: str
    owner: str
    scopes: Sequence[str]
    secret_hash: str
    expires_at: datetime | None


def add(session: Session, new: TokenRow, *, now: datetime) -> Token:
    """Keep a token. Raises Conflict where another has the name, be it revoked."""
    token = Token(
        name=new.name,
        owner=new.owner,
        scopes=",".join(new.scopes),
        secret_hash=new.secret_hash,
        expires_at=new.expires_at,
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(token)
            session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"a token is called '{new.name}' already; choose another name, or give that one a new "
            f"secret: `segtune token rotate {new.name}`"
        ) from error
    return token


def everyone(session: Session) -> Sequence[Token]:
    """Every token that there was ever, the oldest first."""
    return session.scalars(select(Token).order_by(Token.id)).all()


def lock(session: Session, name: str) -> Token:
    """The token of that name, so that one at a time may change it. Raises NotFound."""
    token = session.scalar(select(Token).where(Token.name == name).with_for_update())
    if token is None:
        raise NotFound(f"no token is called '{name}'; `segtune token list` lists them")
    return token


def give_secret(
    token: Token, secret_hash: str, *, old_until: datetime, expires_at: datetime | None
) -> None:
    """Let a token have another secret until `expires_at`, and its old one until `old_until`."""
    token.previous_hash, token.previous_until = token.secret_hash, old_until
    token.secret_hash, token.expires_at = secret_hash, expires_at


def revoke(token: Token, *, now: datetime) -> None:
    """Let nobody in with it from now on; when it was first done stays."""
    token.revoked_at = token.revoked_at or now


def note_used(session: Session, used: Mapping[int, datetime]) -> None:
    """Write when each token, by its id, was last used, unless a later time is known."""
    for number, moment in sorted(used.items()):
        earlier = or_(Token.last_used_at.is_(None), Token.last_used_at < moment)
        changed = update(Token).where(Token.id == number, earlier)
        session.execute(
            changed.values(last_used_at=moment).execution_options(synchronize_session=False)
        )
