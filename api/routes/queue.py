"""The queue: what waits for workers, and why."""

from fastapi import APIRouter

from api.deps import Db
from tuner.service import queue
from tuner.spec.fleet import QueueDepth, QueueView

router = APIRouter(prefix="/queue", tags=["workers"])


@router.get("")
def show_queue(db: Db) -> QueueView:
    """Every study that is not over, in the order in which workers are given their trials."""
    return queue.queue(db)


@router.get("/depth")
def show_queue_depth(db: Db) -> QueueDepth:
    """How many trials more workers could begin now, for what starts and ends workers."""
    return queue.depth(queue.queue(db))
