import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from api import openapi
from api.app import RESOURCES, create_app
from api.bodies import Body, by_route
from api.settings import Settings
from tuner.configs import checks
from tuner.spec.views import TrialRequest

SNAPSHOT = Path(__file__).with_name("openapi.json")
REWRITE = "UPDATE_OPENAPI=1 pytest tests/api/test_openapi.py"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document of the server."""
    return create_app(Settings(_env_file=None)).openapi()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation


def test_snapshot(document: dict[str, Any]) -> None:
    """The contract changes on purpose only: the snapshot shows every change in review."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_OPENAPI"):
        SNAPSHOT.write_text(text, encoding="utf-8")

    assert SNAPSHOT.read_text(encoding="utf-8") == text, f"if this is meant: {REWRITE}"


def test_operations_are_described(document: dict[str, Any]) -> None:
    """Every operation has a readable name, a sentence, a tag and documented refusals."""
    tags = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, operation in _operations(document)]

    assert len(names) == len(set(names))
    for where, operation in _operations(document):
        assert operation["operationId"].isidentifier(), where
        assert operation["description"].endswith((".", "503 if not.")), where
        assert set(operation["tags"]) <= tags, where
        assert {"401", "default"} <= operation["responses"].keys(), where


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    """Every reference of the document is to something that is in it."""
    text = json.dumps(document)
    targets = {part.split('"')[0] for part in text.split('"$ref": "#/')[1:]}

    assert targets
    for target in targets:
        found = document
        for part in target.split("/"):
            found = found[part]


def test_examples_are_valid() -> None:
    """Every example of a body is one that the server takes."""
    taken = by_route(route for each in RESOURCES for route in each.router.routes)

    assert len(taken) == 13
    for body in taken.values():
        assert body.model.model_validate(body.example)
    assert checks.parse(taken["create_study"].example).name == "camvid-street"


def test_every_body_that_a_route_reads_is_described() -> None:
    """A body is declared at its route's parameter alone: model, example and media types."""
    app = FastAPI(generate_unique_id_function=lambda route: route.name)
    kinds = ("application/json", "text/yaml")
    note = Body(TrialRequest, example={"params": {}}, media_types=kinds)

    @app.put("/notes")
    def put_note(read: Annotated[TrialRequest, Depends(note)]) -> None:
        """Keep a note."""

    openapi.install(app, app.routes)
    found = app.openapi()["paths"]["/notes"]["put"]["requestBody"]["content"]
    schema = {"$ref": "#/components/schemas/TrialRequestInput"}
    assert found == {kind: {"schema": schema, "example": {"params": {}}} for kind in kinds}
