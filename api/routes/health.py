"""Health: whether the process lives, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import Db
from tuner import __version__
from tuner.service import storage

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """A server that answers."""

    status: Literal["live", "ready"]
    version: str


@router.get("/live")
async def get_live() -> Health:
    """Whether the process answers."""
    return Health(status="live", version=__version__)


@router.get("/ready")
def get_ready(db: Db) -> Health:
    """Whether the database answers and has the tables of this release; 503 if not."""
    storage.check(db)
    return Health(status="ready", version=__version__)
