"""What the generated OpenAPI document cannot know by itself: bodies, problems, security."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.errors import ProblemBody
from tuner.configs import studies
from tuner.spec.messages import LeaseRequest, Outcome, ReportBatch
from tuner.spec.study import StudySpec
from tuner.spec.views import CloneRequest, StudyChange, TrialRequest

Schema = dict[str, Any]

TAGS = (
    {"name": "studies", "description": "Searches: what to tune, and what was found"},
    {"name": "trials", "description": "Configurations trained once each"},
    {"name": "leases", "description": "How workers take trials, report and finish"},
    {"name": "artifacts", "description": "Files: checkpoints, models, logs"},
    {"name": "workers", "description": "The fleet"},
    {"name": "events", "description": "Changes as they happen"},
    {"name": "health", "description": "Whether the server can serve"},
)
BODIES: Mapping[str, type[BaseModel]] = {
    "create_study": StudySpec,
    "change_study": StudyChange,
    "clone_study": CloneRequest,
    "enqueue_trial": TrialRequest,
    "take_trial": LeaseRequest,
    "report_steps": ReportBatch,
    "finish_lease": Outcome,
}
EXAMPLES: Mapping[str, Any] = {
    "create_study": studies.camvid(),
    "change_study": {"state": "paused"},
    "clone_study": {"name": "camvid-street-2", "changes": {"priority": 80}},
    "enqueue_trial": {"params": {"model.decoder": "ocr", "optimizer.lr": 0.02}},
    "take_trial": {"worker": "gpu-1", "wait": 20},
    "report_steps": {
        "reports": [{"step": 1, "metrics": {"miou": 0.31, "train_loss": 1.2}, "seconds": 41.5}]
    },
    "finish_lease": {"kind": "completed", "step": 20},
}
_REFUSALS: Mapping[str, str] = {
    "401": "The token is missing or wrong",
    "404": "There is no such thing",
    "409": "The present state does not allow this; `urn:segtune:lease-lost`: drop the work",
    "422": "Something in the request is not valid; `problems` says where",
    "default": "Any other refusal",
}


def install(app: FastAPI) -> None:
    """Make the app's OpenAPI document complete."""

    @cache
    def document() -> Schema:
        found = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            tags=[dict(tag) for tag in TAGS],
            routes=app.routes,
            servers=app.servers or None,
        )
        return complete(found)

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def complete(document: Schema) -> Schema:
    """Add request bodies with examples, problem bodies and the bearer scheme, in place."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_body_schemas())
    schemas["Problem"] = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schemas["Problem"].pop("$defs"))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    components["responses"] = {
        f"Problem{status.capitalize()}": _problem(text) for status, text in _REFUSALS.items()
    }
    document["security"] = [{"token": []}, {}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete_operation(path, operation)
    return document


def _complete_operation(path: str, operation: Schema) -> None:
    name = operation["operationId"]
    if name in BODIES:
        operation["requestBody"] = _request_body(name)
    has_input = "{" in path or "parameters" in operation or "requestBody" in operation
    wanted = ["401", "default"]
    wanted += ["422"] if has_input else []
    wanted += ["404"] if "{" in path and not path.startswith("/api/v1/leases") else []
    wanted += ["409"] if "requestBody" in operation or "/leases/" in path else []
    for status in sorted(wanted):
        reference = f"#/components/responses/Problem{status.capitalize()}"
        operation["responses"][status] = {"$ref": reference}


def _request_body(name: str) -> Schema:
    content = {
        "schema": _input_reference(BODIES[name].__name__),
        "example": deepcopy(EXAMPLES[name]),
    }
    kinds = ["application/json"] + (["application/yaml"] if name == "create_study" else [])
    return {"required": True, "content": {kind: dict(content) for kind in kinds}}


def _problem(text: str) -> Schema:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _input_reference(model: str) -> Schema:
    return {"$ref": f"#/components/schemas/{model}Input"}


def _body_schemas() -> Schema:
    """Schemas of what callers send; they may leave out what has a default, so names differ."""
    _, found = models_json_schema(
        [(model, "validation") for model in BODIES.values()],
        ref_template="#/components/schemas/{model}Input",
    )
    return {f"{name}Input": schema for name, schema in found["$defs"].items()}
