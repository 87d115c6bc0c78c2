"""Tokens: made, listed, given new secrets and revoked, by an admin."""

from typing import Annotated

from fastapi import APIRouter, Path, status

from api.deps import App, Db, NewTokenBody, RotationBody
from tuner.service import tokens
from tuner.spec.access import NewToken, TokenName, TokenView

router = APIRouter(prefix="/tokens", tags=["tokens"])
TokenRef = Annotated[TokenName, Path(description="Name of a token")]


@router.get("")
def list_tokens(db: Db) -> tuple[TokenView, ...]:
    """Every token, revoked ones too, the oldest first; never a secret."""
    return tokens.everyone(db)


@router.post("", status_code=status.HTTP_201_CREATED)
def create_token(app: App, request: NewTokenBody) -> NewToken:
    """Make a token; its `secret` is in this answer and nowhere else."""
    made = tokens.create(app.db, request)
    app.tokens.forget()
    return made


@router.post("/{token}/rotate")
def rotate_token(app: App, token: TokenRef, request: RotationBody) -> NewToken:
    """Give a token a new secret; the old one stays good for the overlap."""
    made = tokens.rotate(app.db, token, request)
    app.tokens.forget()
    return made


@router.post("/{token}/revoke")
def revoke_token(app: App, token: TokenRef) -> TokenView:
    """Let nobody in with a token any more; every server knows within seconds."""
    view = tokens.revoke(app.db, token)
    app.tokens.forget()
    return view
