"""Which scope each route wants: the one table of them. A route that is not in it cannot start."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from tuner.errors import Forbidden
from tuner.spec.access import Caller, TokenScope

Wanted = frozenset[TokenScope] | None  # one of them; None: nothing, not even a token
OPEN: Wanted = None
READ = frozenset({TokenScope.READ})
SUBMIT = frozenset({TokenScope.SUBMIT})
WORKER: Wanted = frozenset({TokenScope.WORKER})
ADMIN: Wanted = frozenset({TokenScope.ADMIN})
FLEET: Wanted = frozenset({TokenScope.READ, TokenScope.WORKER})  # what a fleet looks at, too
MACHINES: Wanted = frozenset({TokenScope.WORKER, TokenScope.ADMIN})

API: Mapping[str, Wanted] = {
    "POST /leases": WORKER,
    "PUT /leases/{lease}": WORKER,
    "POST /leases/{lease}/reports": WORKER,
    "POST /leases/{lease}/measurements": WORKER,
    "POST /leases/{lease}/finish": WORKER,
    "PUT /leases/{lease}/artifacts/{name}": WORKER,
    "HEAD /leases/{lease}/artifacts/{name}": WORKER,
    "PATCH /leases/{lease}/artifacts/{name}": WORKER,
    "GET /artifacts/{artifact}": FLEET,  # workers resume from them
    "POST /studies": SUBMIT,
    "GET /studies": READ,
    "GET /studies/{study}": READ,
    "PATCH /studies/{study}": SUBMIT,
    "POST /studies/{study}/clone": SUBMIT,
    "DELETE /studies/{study}": SUBMIT,
    "POST /studies/{study}/restore": SUBMIT,
    "GET /studies/{study}/curves": READ,
    "GET /studies/{study}/history": READ,
    "GET /studies/{study}/best": READ,
    "GET /studies/{study}/importance": READ,
    "GET /studies/{study}/sources": READ,
    "GET /studies/{study}/explanation": READ,
    "GET /studies/{study}/ranking": READ,
    "GET /studies/{study}/pareto": READ,
    "GET /studies/{study}/front": READ,
    "GET /studies/{study}/events": READ,
    "GET /studies/{study}/trials": READ,
    "POST /studies/{study}/trials": SUBMIT,
    "GET /studies/{study}/trials.csv": READ,
    "GET /studies/{study}/trials.json": READ,
    "GET /studies/{study}/trials/{number}": READ,
    "POST /studies/{study}/trials/{number}/cancel": SUBMIT,
    "POST /studies/{study}/trials/{number}/retry": SUBMIT,
    "GET /studies/{study}/trials/{number}/log": READ,
    "GET /studies/{study}/trials/{number}/steps": READ,
    "GET /studies/{study}/examples": READ,
    "GET /studies/{study}/trials/{number}/examples": READ,
    "GET /workers": FLEET,
    "GET /workers/lost": READ,
    "POST /workers/{worker}/drain": MACHINES,
    "POST /workers/{worker}/undrain": MACHINES,
    "GET /queue": FLEET,
    "GET /queue/depth": FLEET,
    "GET /owners": READ,
    "PUT /owners/{owner}": ADMIN,
    "GET /maintenance": FLEET,
    "PUT /maintenance": ADMIN,
    "DELETE /maintenance": ADMIN,
    "GET /tokens": ADMIN,
    "POST /tokens": ADMIN,
    "POST /tokens/{token}/rotate": ADMIN,
    "POST /tokens/{token}/revoke": ADMIN,
    "GET /audit": ADMIN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /metrics": READ,
}
# Pages that are only read want READ, and forms SUBMIT; these are the others.
PAGES: Mapping[str, Wanted] = {
    "GET /login": OPEN,
    "POST /login": OPEN,
    "POST /logout": READ,
    "POST /language": OPEN,
    "GET /static/{version}/{name:path}": OPEN,
    "POST /workers/{worker}/{action}": MACHINES,
}
Endpoint = Callable[..., Any]


def of_api(routes: Iterable[BaseRoute]) -> dict[Endpoint, Wanted]:
    """What each route of the API wants, by its function. Raises KeyError for one not listed."""
    return {route.endpoint: API[key] for key, route in _known(routes)}


def of_pages(routes: Iterable[BaseRoute]) -> dict[Endpoint, Wanted]:
    """What each route of the dashboard wants, by its function."""
    return {
        route.endpoint: PAGES.get(key, READ if key.startswith("GET ") else SUBMIT)
        for key, route in _known(routes)
    }


def require(caller: Caller | None, wanted: Wanted) -> None:
    """Raise Forbidden unless the caller may do what wants one of these scopes."""
    if wanted is None or (caller is not None and caller.may(wanted)):
        return
    needed = " or ".join(scope for scope in TokenScope if scope in wanted)
    has = ", ".join(scope for scope in TokenScope if caller and scope in caller.scopes) or "none"
    name = caller.name if caller else ""
    raise Forbidden(
        f"this needs a token with the scope {needed}, and '{name}' has {has}; an admin can make "
        "one: `segtune token create`"
    )


def _known(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, APIRoute]]:
    """Method and path of each route, and the route."""
    for route in routes:
        methods = list(route.methods or ()) if isinstance(route, APIRoute) else []
        if not isinstance(route, APIRoute) or len(methods) != 1:
            raise TypeError(f"{route} cannot be given a scope: declare it by one method")
        method = methods[0]
        yield f"{method} {route.path}", route
