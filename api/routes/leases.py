"""Leases: how workers take trials, report and finish. The busiest routes: answers are made by
pydantic straight from the views, and every body is parsed once.
"""

import asyncio
from asyncio import wrap_future

from fastapi import APIRouter, Request, Response, status
from starlette.concurrency import run_in_threadpool

from api.deps import (
    App,
    AppState,
    LeaseBody,
    LeaseId,
    LeaseToken,
    MeasuredBody,
    OutcomeBody,
    ReportsBody,
    VitalsBody,
)
from tuner.service import assignments, leases
from tuner.service.assignments import LeaseAnswer
from tuner.spec.messages import DRAINED, Assignment, LeaseRequest, LeaseStatus

router = APIRouter(prefix="/leases", tags=["leases"])
# One trial that ended frees one place; each worker that finds work wakes as many again.
_WAKE = 8


@router.post(
    "",
    response_model=Assignment,
    responses={
        204: {
            "description": "No trial for this worker within the time it would wait",
            "headers": {
                DRAINED: {
                    "description": "A user has drained it: it gets none until that is undone",
                    "schema": {"type": "string", "const": "true"},
                }
            },
        }
    },
)
async def take_trial(request: Request, app: App, ask: LeaseBody) -> Response:
    """Ask for a trial, and wait up to `wait` seconds for one."""
    answer = await _take(request, app, ask)
    if answer.assignment is None:
        headers = {DRAINED: "true"} if answer.is_drained else None
        return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)
    app.notify(_WAKE)
    return _json(answer.assignment)


@router.put("/{lease}", response_model=LeaseStatus)
async def renew_lease(app: App, lease: LeaseId, token: LeaseToken, vitals: VitalsBody) -> Response:
    """Say that the worker is alive, and how it is; the reply carries a verdict."""
    seconds = app.settings.lease_seconds
    job = leases.renewal(app.db, lease, token, lease_seconds=seconds, vitals=vitals)
    answer = await wrap_future(app.db.soon(job))
    return _json(answer)


@router.post("/{lease}/reports", response_model=LeaseStatus)
async def report_steps(app: App, lease: LeaseId, token: LeaseToken, batch: ReportsBody) -> Response:
    """Hand in the metrics of steps, stored once each; the reply is the verdict."""
    seconds = app.settings.lease_seconds
    job = leases.reporting(
        app.db, lease, token, batch, lease_seconds=seconds, searches=app.searches
    )
    answer = await wrap_future(app.db.soon(job))
    app.changes.notify()
    return _json(answer)


@router.post("/{lease}/measurements", response_model=LeaseStatus)
async def measure_network(
    app: App, lease: LeaseId, token: LeaseToken, costs: MeasuredBody
) -> Response:
    """Hand in what the trial's network costs where it is to run; the reply is the verdict."""
    seconds = app.settings.lease_seconds
    job = leases.measuring(app.db, lease, token, costs, lease_seconds=seconds)
    answer = await wrap_future(app.db.soon(job))
    app.changes.notify()
    return _json(answer)


@router.post("/{lease}/finish", status_code=status.HTTP_204_NO_CONTENT)
async def finish_lease(app: App, lease: LeaseId, token: LeaseToken, end: OutcomeBody) -> Response:
    """Say how the attempt ended; the same outcome again is fine."""
    await wrap_future(app.db.soon(leases.ending(app.db, lease, token, end)))
    app.notify(_WAKE)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


async def _take(request: Request, app: AppState, ask: LeaseRequest) -> LeaseAnswer:
    """Try until there is a trial, the time is up, or nobody would hear the answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ask.wait
    while True:
        version = app.work.version
        answer = await run_in_threadpool(
            assignments.answer,
            app.db,
            ask,
            lease_seconds=app.settings.lease_seconds,
            searches=app.searches,
        )
        left = deadline - loop.time()
        if answer.assignment is not None or left <= 0 or app.work.is_closed:
            return answer
        await app.work.wait(version, left)
        if await request.is_disconnected():  # a lease for nobody would run out unused
            return LeaseAnswer(None)


def _json(view: Assignment | LeaseStatus) -> Response:
    return Response(view.model_dump_json(), media_type="application/json")
