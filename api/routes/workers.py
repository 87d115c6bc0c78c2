"""Workers: which there are, and what they are doing."""

from fastapi import APIRouter

from api.deps import Db
from tuner.service import overview
from tuner.spec.views import WorkerView

router = APIRouter(prefix="/workers", tags=["workers"])


@router.get("")
def list_workers(db: Db) -> tuple[WorkerView, ...]:
    """Every worker that has asked for a trial."""
    return overview.workers(db)
