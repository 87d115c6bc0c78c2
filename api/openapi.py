"""What the generated OpenAPI document cannot know by itself: bodies, problems, security."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from api.bodies import Body, by_route
from api.errors import ProblemBody

Schema = dict[str, Any]

TAGS = (
    {"name": "studies", "description": "Searches: what to tune, and what was found"},
    {"name": "trials", "description": "Configurations trained once each"},
    {"name": "leases", "description": "How workers take trials, report and finish"},
    {"name": "artifacts", "description": "Files: checkpoints, models, logs, images"},
    {"name": "examples", "description": "Validation images, and what trials make of them"},
    {"name": "workers", "description": "The fleet"},
    {"name": "events", "description": "Changes as they happen"},
    {"name": "tokens", "description": "Callers that are let in, and what each may do"},
    {"name": "health", "description": "Whether the server can serve"},
)
_REFUSALS: Mapping[str, str] = {
    "401": "The token is missing or wrong",
    "403": "The token has not the scope for this",
    "404": "There is no such thing",
    "409": "The present state does not allow this; `urn:segtune:lease-lost`: drop the work",
    "422": "Something in the request is not valid; `problems` says where",
    "default": "Any other refusal",
}


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make the app's OpenAPI document complete; `routes` are those that may take a body."""

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
        return complete(found, by_route(routes))

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def complete(document: Schema, taken: Mapping[str, Body[Any]]) -> Schema:
    """Add the bodies `taken` by operations, problem bodies and the bearer scheme, in place."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_body_schemas(taken.values()))
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
            _complete_operation(path, operation, taken.get(operation["operationId"]))
    return document


def _complete_operation(path: str, operation: Schema, body: Body[Any] | None) -> None:
    if body is not None:
        operation["requestBody"] = _request_body(body)
    has_input = "{" in path or "parameters" in operation or "requestBody" in operation
    wanted = ["401", "403", "default"]
    wanted += ["422"] if has_input else []
    wanted += ["404"] if "{" in path and not path.startswith("/api/v1/leases") else []
    wanted += ["409"] if "requestBody" in operation or "/leases/" in path else []
    for status in sorted(wanted):
        reference = f"#/components/responses/Problem{status.capitalize()}"
        operation["responses"][status] = {"$ref": reference}


def _request_body(body: Body[Any]) -> Schema:
    content = {
        "schema": {"$ref": f"#/components/schemas/{body.model.__name__}Input"},
        "example": deepcopy(body.example),
    }
    return {
        "required": body.is_required,
        "content": {kind: dict(content) for kind in body.media_types},
    }


def _problem(text: str) -> Schema:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _body_schemas(bodies: Iterable[Body[Any]]) -> Schema:
    """Schemas of what callers send; they may leave out what has a default, so names differ."""
    _, found = models_json_schema(
        [(body.model, "validation") for body in bodies],
        ref_template="#/components/schemas/{model}Input",
    )
    return {f"{name}Input": schema for name, schema in found.get("$defs", {}).items()}
