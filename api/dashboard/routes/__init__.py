"""The dashboard's routes, one file a page: a page reads views and renders a template.

A partial renders what changes on a page. `api.security` decides before who may come in: host,
origin of forms, and the token.
"""

from fastapi import APIRouter
from starlette.routing import BaseRoute

from api.dashboard.routes import (
    changes,
    charts,
    compare,
    controls,
    images,
    new,
    queue,
    relations,
    session,
    static,
    studies,
    study,
    trial,
    workers,
)

router = APIRouter(include_in_schema=False)
_PAGES = (
    changes,
    charts,
    compare,
    relations,
    session,
    static,
    studies,
    new,
    study,
    controls,
    trial,
    images,
    workers,
    queue,
)
for _page in _PAGES:
    router.include_router(_page.router)


def routes() -> list[BaseRoute]:
    """Every route of the dashboard."""
    return [route for page in _PAGES for route in page.router.routes]
