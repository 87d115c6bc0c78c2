"""Artifacts, streamed both ways in constant memory, known by their sha256."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import chain
from pathlib import PurePath
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Request, Response, status
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from api.deps import (
    App,
    AppState,
    ArtifactId,
    Digest,
    Label,
    UploadLabel,
    UploadPlace,
    UploadRest,
    UploadTarget,
)
from api.documents import announced
from tuner.errors import InvalidInput, Malformed, Problem
from tuner.service import artifacts
from tuner.service.artifacts import Stored, Upload
from tuner.service.uploads import PartialUpload, part_of
from tuner.spec.documents import parse_json
from tuner.spec.examples import PICTURES, PNG_HEAD, SHEETS, SheetDetails, png_fault
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef
from tuner.spec.validation import invalid

router = APIRouter(tags=["artifacts"])
BYTES = "application/octet-stream"
# Only of images, and only these: a browser draws them and runs nothing in them.
IMAGE_TYPES = {".png": "image/png", ".webp": "image/webp"}
REST = "application/partial-upload"
_PLACE = "/leases/{lease}/artifacts/{name}"
_PROGRESS = {
    "Upload-Offset": {
        "description": "Where the rest begins",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Upload-Complete": {
        "description": "The rest is to come, be it empty",
        "schema": {"type": "string", "const": "?0"},
    },
}
_BODY = {"schema": {"type": "string", "format": "binary"}}


@router.put(
    _PLACE,
    status_code=status.HTTP_201_CREATED,
    openapi_extra={"requestBody": {"required": True, "content": {BYTES: _BODY}}},
)
async def upload_artifact(
    request: Request, app: App, place: UploadTarget, label: UploadLabel
) -> ArtifactRef:
    """Store a file under a lease; a new checkpoint replaces the trial's older ones."""
    length = _length(request, app)

    def receive(part: PartialUpload) -> Stored:
        app.artifacts.require_room(length)
        return app.receiver.whole(part, _chunks(request), length=length)

    return await _stored(app, place, label, receive)


@router.head(
    _PLACE,
    status_code=status.HTTP_204_NO_CONTENT,
    responses={204: {"description": "How far it has come", "headers": _PROGRESS}},
)
async def find_upload(app: App, place: UploadTarget, digest: Digest) -> Response:
    """How many bytes are there of a file whose upload broke off; all, if it is stored already."""

    def look() -> int:
        artifacts.authorize(app.db, place.lease, place.token)
        return app.receiver.offset(part_of(place.lease, place.name, digest))

    offset = await anyio.to_thread.run_sync(look)
    headers = {
        "Upload-Offset": str(offset),
        "Upload-Complete": "?0",
        "Cache-Control": "no-store",
    }
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers)


@router.patch(
    _PLACE,
    status_code=status.HTTP_201_CREATED,
    openapi_extra={"requestBody": {"required": True, "content": {REST: _BODY}}},
)
async def resume_upload(
    request: Request, app: App, place: UploadTarget, label: UploadRest
) -> ArtifactRef:
    """Store a file of which the body is the rest; else as an upload of all of it."""
    length = _length(request, app, after=label.offset)

    def receive(part: PartialUpload) -> Stored:
        app.artifacts.require_room(length)
        return app.receiver.rest(part, _chunks(request), offset=label.offset)

    return await _stored(app, place, label, receive)


async def _stored(
    app: AppState, place: UploadPlace, label: Label, receive: Callable[[PartialUpload], Stored]
) -> ArtifactRef:
    """Let the lease's trial have a file, whose bytes come in a worker thread."""
    details = _details(label)

    def store() -> ArtifactRef:
        artifacts.authorize(app.db, place.lease, place.token)
        stored = receive(part_of(place.lease, place.name, label.digest))
        if details is not None:
            _check_sheet(app, label.kind, stored, details)
        file = Upload(place.name, label.kind, label.step, stored, details)
        return artifacts.attach(app.db, place.lease, place.token, file, store=app.artifacts)

    return await anyio.to_thread.run_sync(store, limiter=app.uploads)


@router.get(
    "/artifacts/{artifact}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file",
            "content": dict.fromkeys((BYTES, *IMAGE_TYPES.values()), _BODY),
        },
        304: {"description": "The caller has this file already"},
    },
)
def download_artifact(
    app: App,
    artifact: ArtifactId,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The bytes of a file; its ETag is their sha256."""
    found = artifacts.locate(app.db, artifact)
    headers = {
        "ETag": f'"{found.sha256}"',
        "Cache-Control": "private, immutable, max-age=31536000",
        "X-Content-Type-Options": "nosniff",
    }
    if found.sha256 in (if_none_match or ""):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    headers["Content-Length"] = str(found.size)
    media = _media(found)
    disposition = "attachment" if media == BYTES else "inline"
    headers["Content-Disposition"] = f'{disposition}; filename="{found.name}"'
    chunks = app.artifacts.read(Stored(found.sha256, found.size))
    first = next(chunks)  # a file that is gone or damaged is 404 or 410, not a broken answer
    return StreamingResponse(chain([first], chunks), headers=headers, media_type=media)


def _media(found: ArtifactRef) -> str:
    is_image = found.kind in PICTURES
    return IMAGE_TYPES.get(PurePath(found.name).suffix.lower(), BYTES) if is_image else BYTES


def _details(label: Label) -> dict[str, Any] | None:
    """What a sheet holds, checked. Raises InvalidInput."""
    where = "Artifact-Details"
    if label.kind not in SHEETS:
        if label.details is not None:
            message = f"a {label.kind} has none; only {', '.join(sorted(SHEETS))} have"
            raise InvalidInput([Problem((where,), message)])
        return None
    if label.details is None:
        message = f"{label.kind} need this header, which says what lies where on the sheet"
        raise InvalidInput([Problem((where,), message)])
    if label.kind == ArtifactKind.PREDICTIONS and label.step is None:
        raise InvalidInput([Problem(("step",), "predictions are those of a step; name it")])
    try:
        found = SheetDetails.model_validate(parse_json(label.details.encode()))
    except Malformed as error:
        raise InvalidInput([Problem((where,), str(error))]) from None
    except ValidationError as error:
        raise invalid(error, SheetDetails) from None
    return found.model_dump(mode="json")


def _check_sheet(
    app: AppState, kind: ArtifactKind, stored: Stored, details: Mapping[str, Any]
) -> None:
    """Refuse a sheet of labels that is not the PNG its details say. Raises InvalidInput."""
    if kind is ArtifactKind.PHOTOS:
        return
    with app.artifacts.open(stored.sha256) as file:
        wrong = png_fault(file.read(PNG_HEAD), details["width"], details["height"])
    if wrong:
        raise InvalidInput([Problem(("body",), f"{kind} are not shown: {wrong}")])


def _length(request: Request, app: AppState, *, after: int = 0) -> int:
    """How many bytes are announced; 0 where that is not said. Raises TooLarge."""
    length, limit = announced(request), app.settings.max_artifact_bytes
    if after + length > limit:
        raise artifacts.too_large(limit)
    return length


def _chunks(request: Request) -> Iterator[bytes]:
    """The body, chunk by chunk as it comes, for a worker thread."""
    stream = request.stream()
    return iter(lambda: anyio.from_thread.run(_next, stream), b"")


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    """The next chunk; nothing at the end. Raises Malformed when the caller is gone."""
    try:
        return await anext(stream, b"")
    except ClientDisconnect:
        raise Malformed("the upload broke off; send the file again") from None
