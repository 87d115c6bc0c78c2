"""Tokens in the database: made, rotated, revoked, expired; and what is known of them then."""

import pytest
from sqlalchemy import text

from tests.databases import Clock
from tuner.errors import Conflict, NotFound
from tuner.service import tokens
from tuner.spec.access import EVERYTHING, NewToken, RotationRequest, TokenRequest, TokenScope
from tuner.store.engine import Database

DAY = 86_400


def made(db: Database, name: str = "ada", *scopes: TokenScope, **more: object) -> NewToken:
    """A token with these scopes, or one to read."""
    asked = {"name": name, "scopes": scopes or (TokenScope.READ,), **more}
    return tokens.create(db, TokenRequest.model_validate(asked))


def opens(db: Database, *secrets: str) -> list[bool]:
    """Which of these secrets let in now."""
    known = tokens.known(db).secrets
    return [tokens.digest(secret) in known for secret in secrets]


def test_a_secret_is_kept_nowhere(clocked_database: Database) -> None:
    """The row has a digest of it, the list not even that; two tokens have two secrets."""
    first, second = made(clocked_database), made(clocked_database, "bob")
    with clocked_database.reading() as session:
        rows = repr(session.execute(text("SELECT * FROM tokens")).all())

    assert first.secret != second.secret
    assert first.secret.startswith("segtune_")
    assert len(first.secret) > 40
    assert first.secret not in rows + repr(tokens.everyone(clocked_database))
    assert opens(clocked_database, first.secret, second.secret, first.secret + "x") == [
        True,
        True,
        False,
    ]


def test_a_token_says_who_and_for_what(clocked_database: Database) -> None:
    """Its owner is its name if none is given; scopes bring those below them."""
    found = {}
    for scope in TokenScope:
        secret = made(clocked_database, scope, scope).secret
        caller = tokens.known(clocked_database).secrets[tokens.digest(secret)].caller
        found[scope] = caller.scopes
        assert (caller.name, caller.owner) == (scope, scope)

    assert found == {
        TokenScope.READ: {TokenScope.READ},
        TokenScope.SUBMIT: {TokenScope.SUBMIT, TokenScope.READ},
        TokenScope.WORKER: {TokenScope.WORKER},
        TokenScope.ADMIN: EVERYTHING,
    }


def test_names_are_given_once(clocked_database: Database) -> None:
    """Also that of a revoked token, so that what was done with it stays told apart."""
    made(clocked_database)
    tokens.revoke(clocked_database, "ada")
    with pytest.raises(Conflict, match="'ada'"):
        made(clocked_database)
    assert len(tokens.everyone(clocked_database)) == 1


def test_a_token_expires(clocked_database: Database, clock: Clock) -> None:
    """At its moment, not a second before."""
    made_ = made(clocked_database, days=1)
    clock.advance(DAY - 1)
    assert opens(clocked_database, made_.secret) == [True]
    clock.advance(1)
    assert opens(clocked_database, made_.secret) == [False]
    (shown,) = tokens.everyone(clocked_database)
    assert shown.state == "expired"
    with pytest.raises(Conflict, match="expired"):
        tokens.rotate(clocked_database, "ada", RotationRequest())


def test_two_secrets_overlap(clocked_database: Database, clock: Clock) -> None:
    """The old one is good for the overlap, and one before it not at all."""
    first = made(clocked_database)
    second = tokens.rotate(clocked_database, "ada", RotationRequest(overlap_hours=1))
    assert second.overlap_until is not None
    assert opens(clocked_database, first.secret, second.secret) == [True, True]
    third = tokens.rotate(clocked_database, "ada", RotationRequest(overlap_hours=1))
    assert opens(clocked_database, first.secret, second.secret, third.secret) == [
        False,
        True,
        True,
    ]
    clock.advance(3600)
    assert opens(clocked_database, second.secret, third.secret) == [False, True]
    fourth = tokens.rotate(clocked_database, "ada", RotationRequest(overlap_hours=0))
    assert opens(clocked_database, third.secret, fourth.secret) == [False, True]


def test_an_overlap_outlives_no_expiry(clocked_database: Database, clock: Clock) -> None:
    """A rotation that gives more days gives them to the new secret alone."""
    first = made(clocked_database, days=1)
    second = tokens.rotate(clocked_database, "ada", RotationRequest(overlap_hours=48, days=9))
    clock.advance(DAY)
    assert opens(clocked_database, first.secret, second.secret) == [False, True]


def test_revocation_ends_both_secrets(clocked_database: Database, clock: Clock) -> None:
    """It is for good, and the first time of it stays."""
    first = made(clocked_database)
    second = tokens.rotate(clocked_database, "ada", RotationRequest())
    at = tokens.revoke(clocked_database, "ada").revoked_at
    clock.advance(5)
    assert tokens.revoke(clocked_database, "ada").revoked_at == at
    assert opens(clocked_database, first.secret, second.secret) == [False, False]
    assert tokens.known(clocked_database).is_any
    with pytest.raises(Conflict, match="revoked"):
        tokens.rotate(clocked_database, "ada", RotationRequest(days=3))


def test_unknown_names(clocked_database: Database) -> None:
    """What no token is called is not found."""
    with pytest.raises(NotFound, match="'ada'"):
        tokens.revoke(clocked_database, "ada")
    with pytest.raises(NotFound, match="'ada'"):
        tokens.rotate(clocked_database, "ada", RotationRequest())
    assert not tokens.known(clocked_database).is_any


def test_the_last_use_only_grows(clocked_database: Database, clock: Clock) -> None:
    """Several servers write it, in any order."""
    made(clocked_database)
    begun = clock.now
    later = clock.advance(60)
    tokens.note_used(clocked_database, {1: later, 99: later})
    tokens.note_used(clocked_database, {1: begun})
    assert tokens.everyone(clocked_database)[0].last_used_at == later
