"""Bodies that routes take: each declared once, and read off its route for the API's description."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute

from api.documents import JSON, MEBIBYTE, content_type, document, read
from api.errors import UnsupportedMedia
from tuner.configs import checks, studies
from tuner.spec.access import MaintenanceRequest, OwnerChange, RotationRequest, TokenRequest
from tuner.spec.deployment import Measured
from tuner.spec.documents import parse_json
from tuner.spec.messages import LeaseRequest, Outcome, ReportBatch
from tuner.spec.study import StudySpec
from tuner.spec.validation import invalid
from tuner.spec.views import CloneRequest, StudyChange, TrialRequest
from tuner.spec.vitals import Vitals

M = TypeVar("M", bound=BaseModel)

_LONG = MEBIBYTE // 4  # bytes: longer bodies are parsed off the event loop


@dataclass(frozen=True, slots=True, eq=False)
class Body(Generic[M]):
    """A dependency that reads a JSON body of a model.

    Cheaper than FastAPI's own parsing, of bounded size, and strict about NaN. It raises what
    `document` raises. `scrub` replaces NUL characters, which databases refuse, for texts that
    nobody wrote by hand: the tail of a log must never keep an outcome from being stored.
    """

    model: type[M]
    example: Mapping[str, Any]
    limit: int = MEBIBYTE
    scrub: bool = False
    media_types: tuple[str, ...] = ("application/json",)
    is_required: ClassVar[bool] = True

    async def __call__(self, request: Request) -> M:
        """The body, validated."""
        kind = content_type(request)
        if not JSON.fullmatch(kind):
            raise UnsupportedMedia(f"content type '{kind}' is not known; send application/json")
        raw = await read(request, self.limit)
        if self.scrub:
            raw = raw.replace(b"\\u0000", b"\\ufffd")
        if len(raw) > _LONG:
            return await run_in_threadpool(_validated, self.model, raw)
        return _validated(self.model, raw)


class OptionalBody(Body[M]):
    """A dependency that reads a body which may be left out, as workers of earlier releases do."""

    is_required = False

    async def __call__(self, request: Request) -> M:
        """The body, validated; with nothing in it where there is none."""
        has_one = "transfer-encoding" in request.headers
        if not has_one and request.headers.get("content-length", "0") == "0":
            return self.model()
        return await super().__call__(request)


class StudyBody(Body[StudySpec]):
    """A dependency that reads a study, as JSON or YAML, and checks it."""

    async def __call__(self, request: Request) -> StudySpec:
        """The study, with every name in it known and every corner of its space tried."""
        parse = await document(request)
        # Every corner of the space is tried: too long for the event loop.
        return await run_in_threadpool(lambda: checks.parse(parse()))


STUDY = StudyBody(
    StudySpec,
    example=studies.camvid(),
    media_types=("application/json", "application/yaml"),
)
CHANGE = Body(StudyChange, example={"state": "paused"})
COPY = Body(CloneRequest, example={"name": "camvid-street-2", "changes": {"priority": 80}})
NEW_TRIAL = Body(TrialRequest, example={"params": {"model.decoder": "ocr", "optimizer.lr": 0.02}})
ASK = Body(LeaseRequest, example={"worker": "gpu-1", "wait": 20})
VITALS = OptionalBody(
    Vitals,
    example={
        "usage": {"utilisation": 0.97, "memory_gb": 9.2, "memory_total_gb": 16.0},
        "log": "epoch 3: miou 0.412, train_loss 0.83\n",
    },
    scrub=True,
)
BATCH = Body(
    ReportBatch,
    example={
        "reports": [{"step": 1, "metrics": {"miou": 0.31, "train_loss": 1.2}, "seconds": 41.5}]
    },
    limit=64 * MEBIBYTE,
)
NEW_TOKEN = Body(TokenRequest, example={"name": "ada", "scopes": ["submit"], "days": 90})
ROTATION = OptionalBody(RotationRequest, example={"overlap_hours": 24})
OWNER = Body(OwnerChange, example={"hours": 100})
MAINTENANCE = OptionalBody(MaintenanceRequest, example={"reason": "new disks until noon"})
MEASURED = Body(
    Measured,
    example={
        "measurements": {
            "latency_ms": 21.4,
            "latency_p95_ms": 23.0,
            "throughput": 46.1,
            "memory_mb": 88.5,
            "parameters": 3_830_214,
            "macs": 1_700_880_384,
        },
        "device": "NVIDIA T4",
    },
)
END = Body(Outcome, example={"kind": "completed", "step": 20}, limit=4 * MEBIBYTE, scrub=True)


def by_route(routes: Iterable[BaseRoute]) -> dict[str, Body[Any]]:
    """The body that each route takes, by the route's name."""
    return {
        route.name: body
        for route in routes
        if isinstance(route, APIRoute)
        for needed in route.dependant.dependencies
        if isinstance(body := needed.call, Body)
    }


def _validated(model: type[M], raw: bytes) -> M:
    try:
        return model.model_validate(parse_json(raw))
    except ValidationError as error:
        raise invalid(error, model) from None
