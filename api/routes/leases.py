"""Leases: how workers take trials, report and finish. The busiest routes: answers are made by
pydantic straight from the views, and every body is parsed once.
"""

import asyncio
from typing import TypeVar

from fastapi import APIRouter, Request, Response, status
from starlette.concurrency import run_in_threadpool

from api.deps import AppRooms, Ask, Batch, End, LeaseId, LeaseToken, Rooms
from tuner.service import assignments, leases
from tuner.spec.messages import Assignment, LeaseRequest, LeaseStatus
from tuner.store.group import Job

T = TypeVar("T")
router = APIRouter(prefix="/leases", tags=["leases"])
# One trial that ended frees one place; each worker that finds work wakes as many again.
_WAKE = 8


@router.post(
    "",
    response_model=Assignment,
    responses={204: {"description": "No trial for this worker within the time it would wait"}},
)
async def take_trial(request: Request, rooms: AppRooms, ask: Ask) -> Response:
    """Ask for a trial, and wait up to `wait` seconds for one."""
    assignment = await _take(request, rooms, ask)
    if assignment is None:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    rooms.ring(_WAKE)
    return _json(assignment)


@router.put("/{lease}", response_model=LeaseStatus)
async def renew_lease(rooms: AppRooms, lease: LeaseId, token: LeaseToken) -> Response:
    """Say that the worker is alive; the reply carries a verdict."""
    seconds = rooms.settings.lease_seconds
    answer = await _done(rooms, leases.renewal(rooms.db, lease, token, lease_seconds=seconds))
    return _json(answer)


@router.post("/{lease}/reports", response_model=LeaseStatus)
async def report_steps(
    rooms: AppRooms, lease: LeaseId, token: LeaseToken, batch: Batch
) -> Response:
    """Hand in the metrics of steps, stored once each; the reply is the verdict."""
    seconds = rooms.settings.lease_seconds
    job = leases.reporting(
        rooms.db, lease, token, batch, lease_seconds=seconds, searches=rooms.searches
    )
    answer = await _done(rooms, job)
    rooms.changes.ring()
    return _json(answer)


@router.post("/{lease}/finish", status_code=status.HTTP_204_NO_CONTENT)
async def finish_lease(rooms: AppRooms, lease: LeaseId, token: LeaseToken, end: End) -> Response:
    """Say how the attempt ended; the same outcome again is fine."""
    await _done(rooms, leases.ending(rooms.db, lease, token, end))
    rooms.ring(_WAKE)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _done(rooms: Rooms, job: Job[T]) -> T:
    """The result of a job that shares its transaction; meanwhile no thread waits for it."""
    return await asyncio.wrap_future(rooms.db.soon(job))


async def _take(request: Request, rooms: Rooms, ask: LeaseRequest) -> Assignment | None:
    """Try until there is a trial, the time is up, or nobody would hear the answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ask.wait
    while True:
        rings = rooms.work.rings
        assignment = await run_in_threadpool(
            assignments.take,
            rooms.db,
            ask,
            lease_seconds=rooms.settings.lease_seconds,
            searches=rooms.searches,
        )
        left = deadline - loop.time()
        if assignment is not None or left <= 0 or rooms.work.is_closed:
            return assignment
        await rooms.work.wait(rings, left)
        if await request.is_disconnected():  # a lease for nobody would run out unused
            return None


def _json(view: Assignment | LeaseStatus) -> Response:
    return Response(view.model_dump_json(), media_type="application/json")
