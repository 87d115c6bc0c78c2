"""The server as an ASGI application: its state opened, routes and guards wired together."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from functools import cache, partial

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from api import errors, openapi, scopes
from api.dashboard import routes as pages
from api.dashboard.reader import PageProcess
from api.dashboard.routes.session import error_page
from api.dashboard.viewers import SharedPartials, shared_answers
from api.dashboard.words import PageLanguage
from api.deps import CHANGES, PERMITTED, WORK, AppState
from api.metrics import RequestTimes, Timed
from api.prefix import Prefix
from api.registry import NOTE_SECONDS, Registry
from api.routes import (
    artifacts,
    audit,
    downloads,
    events,
    examples,
    health,
    leases,
    limits,
    metrics,
    queue,
    studies,
    tokens,
    trials,
    workers,
)
from api.security import Guard
from api.settings import Settings
from api.sharing import Shared
from api.slowness import BodyTimeout
from api.upkeep import repeated
from api.waiting import Notifier
from api.webhooks import hooks as webhooks
from api.webhooks.sender import sending
from tuner import __version__
from tuner.background import task_queue
from tuner.configs import catalog, plugins
from tuner.errors import StorageError
from tuner.service import searches, storage, upkeep
from tuner.service.importance import ImportanceCache
from tuner.service.searches import Background, Searches
from tuner.service.uploads import Receiver

logger = logging.getLogger(__name__)
PREFIX = "/api/v1"
UPLOADS = 16
FEWEST_CONNECTIONS = 8  # of each process, however many of them share what a database allows
# Routes are tried in this order, and workers ask most often.
RESOURCES = (
    leases,
    artifacts,
    studies,
    trials,
    downloads,
    examples,
    workers,
    queue,
    events,
    limits,
    tokens,
    audit,
    health,
)


def create_app(
    settings: Settings | None = None, *, with_reader: bool = False, is_prepared: bool = False
) -> FastAPI:
    """Build the application; its database is opened and migrated when it starts.

    Args:
        with_reader: let a process of its own render the refreshes of live pages.
        is_prepared: `startup.prepare` has migrated it; one that is away since then is waited for.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        hooks = webhooks.read(settings)
        if not is_prepared:
            await run_in_threadpool(storage.upgrade, settings.database_url)
        await run_in_threadpool(catalog.read_all)  # or the first worker would wait for it
        await run_in_threadpool(searches.load_samplers)  # and so for this
        with (
            task_queue("background") as background,
            _open(settings, background, PageProcess(settings) if with_reader else None) as state,
            _upkeep(state),
            repeated(
                partial(upkeep.sweep, state.db, state.artifacts), seconds=upkeep.SWEEP_SECONDS
            ),
            repeated(state.tokens.note, seconds=NOTE_SECONDS),
            sending(state.db, hooks),
            state.neighbours.around(state.hear),
        ):
            await state.tokens.prime()
            state.work.open()
            state.changes.open()
            app.state.opened = state
            try:
                yield
            finally:
                close_waits(app)
                with suppress(StorageError):
                    await run_in_threadpool(state.tokens.note)

    return _build(settings, lifespan)


def create_reading_app(settings: Settings) -> FastAPI:
    """Build the application for a process that renders pages and does nothing else.

    A server has brought its database up to date and looks after it; this one only reads it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with task_queue("background") as background, _open(settings, background, None) as state:
            app.state.opened = state
            yield

    return _build(settings, lifespan)


def _build(settings: Settings, lifespan: Lifespan[FastAPI]) -> FastAPI:
    plugins.allow(settings.plugins)
    app = FastAPI(
        title="segtune",
        version=__version__,
        summary="Hyperparameter tuning for semantic segmentation",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; this server works offline
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        lifespan=lifespan,
        routes=_routes(),
    )
    app.state.settings = settings
    app.state.error_page = error_page
    app.state.times = RequestTimes()
    routes = [route for each in RESOURCES for route in each.router.routes]
    own = [*routes, *metrics.router.routes]
    app.state.scopes = scopes.of_api(own) | scopes.of_pages(pages.routes())
    app.add_middleware(BodyTimeout)
    app.add_middleware(Timed, times=app.state.times)
    app.add_middleware(SharedPartials)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(PageLanguage)
    errors.install(app)
    app.add_middleware(Prefix, setting=settings.root_path)  # outermost: the others see no prefix
    openapi.install(app, routes)
    return app


@cache
def _routes() -> list[BaseRoute]:
    """Every route but that of the OpenAPI document, each of them guarded.

    All applications of a process share them: FastAPI inspects a route with its first request.
    """
    router = APIRouter(dependencies=[PERMITTED], generate_unique_id_function=_operation_id)
    for resource in RESOURCES:
        router.include_router(resource.router, prefix=PREFIX)
    router.include_router(health.router, include_in_schema=False)
    router.include_router(metrics.router)
    router.include_router(pages.router)
    return router.routes


def close_waits(app: FastAPI) -> None:
    """End long waits and event streams, so that a server can shut down at once."""
    state: AppState | None = getattr(app.state, "opened", None)
    if state is not None:
        state.work.close()
        state.changes.close()
        state.partials.close()
        if state.reader is not None:
            state.reader.close()


@contextmanager
def _open(
    settings: Settings, background: Background, reader: PageProcess | None
) -> Iterator[AppState]:
    url, place = settings.database_url, settings.artifact_place
    connections = max(FEWEST_CONNECTIONS, storage.CONNECTIONS // settings.processes)
    with storage.opened(url, place, connections=connections) as stored:
        neighbours = storage.Neighbours(stored.db)
        broken = storage.partial_uploads(place, settings.home)
        yield AppState(
            settings=settings,
            db=stored.db,
            artifacts=stored.artifacts,
            broken=broken,
            receiver=Receiver(stored.artifacts, broken, limit=settings.max_artifact_bytes),
            searches=Searches(background),
            importance=ImportanceCache(background),
            work=Notifier(partial(neighbours.say, WORK)),
            changes=Notifier(partial(neighbours.say, CHANGES)),
            neighbours=neighbours,
            uploads=CapacityLimiter(UPLOADS),
            checks=CapacityLimiter(1),
            tokens=Registry(stored.db),
            partials=shared_answers(),
            reader=reader,
            streams=Shared(),
        )


def _upkeep(state: AppState) -> AbstractContextManager[None]:
    seconds, lease = state.settings.upkeep_seconds, timedelta(seconds=state.settings.lease_seconds)
    # A worker renews its lease three times before that runs out.
    vigil = upkeep.Vigil(lease=lease, gap=max(lease / 3, timedelta(seconds=2 * seconds)))

    collected: dict[int, int] = {}

    def duty() -> int:
        changes = upkeep.run(
            state.db,
            state.artifacts,
            undo=timedelta(seconds=state.settings.undo_seconds),
            vigil=vigil,
            preempts=state.settings.preempt,
            collected=collected,
        )
        upkeep.discard_broken(state.db, state.broken)
        if changes:
            state.notify()
        return changes

    return repeated(duty, seconds=seconds)


def _operation_id(route: APIRoute) -> str:
    return route.name
