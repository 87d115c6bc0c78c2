"""Figures for a monitoring system."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.deps import Db
from api.metrics import RequestTimes, exposition
from tuner.service.figures import figures

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def get_metrics(request: Request, db: Db) -> Response:
    """Everything in Prometheus's text format."""
    times: RequestTimes = request.app.state.times
    return Response(exposition(times, figures(db)), media_type=CONTENT_TYPE_LATEST)
