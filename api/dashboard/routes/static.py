"""Style sheets, scripts and images."""

from fastapi import APIRouter, Request, Response

from api.dashboard import assets, render
from tuner.errors import NotFound

router = APIRouter()


@router.get("/static/{version}/{name:path}")
def get_asset(request: Request, version: str, name: str) -> Response:
    """A file that a page asks for; the version in its address changes with any of them."""
    found = assets.respond(
        name, gzipped=render.takes_gzip(request.headers.get("accept-encoding", ""))
    )
    if found is None or version != assets.version():
        raise NotFound(f"no static file is called '{name}'")
    return found
