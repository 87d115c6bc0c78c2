"""Health: whether the process lives, and whether it can serve."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import Db
from tuner import __version__
from tuner.errors import StorageError
from tuner.store.migrate import is_current

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
    if not is_current(db):
        raise StorageError("the database has other tables than this release; `segtune db upgrade`")
    return Health(status="ready", version=__version__)
