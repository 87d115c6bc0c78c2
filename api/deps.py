"""What routes are given: with `api.dashboard.deps` the only `Depends` of the server."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from anyio import CapacityLimiter
from fastapi import Depends, Header, Path, Query, Request

from api import bodies, scopes
from api.dashboard.reader import PageMessages, PageProcess
from api.registry import Registry
from api.security import CALLER
from api.settings import Settings
from api.sharing import Shared
from api.waiting import Notifier
from tuner.service.importance import ImportanceCache
from tuner.service.searches import Searches
from tuner.service.storage import ArtifactStore, Database, Neighbours, Partials
from tuner.service.uploads import Receiver
from tuner.spec.access import Caller, MaintenanceRequest, OwnerChange, RotationRequest, TokenRequest
from tuner.spec.deployment import Measured
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import LeaseRequest, Outcome, ReportBatch
from tuner.spec.study import StudySpec
from tuner.spec.views import CloneRequest, StudyChange, TrialRequest
from tuner.spec.vitals import Vitals

MAX_ID = 2**31 - 1
WORK, CHANGES = "work", "changes"  # what server processes tell each other of
_LONGEST_DETAILS = 32_768


class EventChunk(NamedTuple):
    """Events of a study in the form of a stream: the last one's number, how many, and the bytes."""

    last: int
    number: int
    body: bytes


@dataclass(frozen=True, slots=True)
class AppState:
    """What one server process holds open."""

    settings: Settings
    db: Database
    artifacts: ArtifactStore
    broken: Partials  # uploads of which the rest may come
    receiver: Receiver  # of uploads
    searches: Searches
    importance: ImportanceCache
    work: Notifier  # wakes idle workers when there may be a trial
    changes: Notifier  # wakes event streams when there may be an event
    neighbours: Neighbours  # other server processes, which wake those who wait there
    tokens: Registry  # who may come in
    partials: Shared[PageMessages]  # of live pages, for all who look at the same
    reader: PageProcess | None  # the process that renders them, in a server of its own
    streams: Shared[EventChunk]  # what event streams read, likewise
    uploads: CapacityLimiter  # threads of their own: uploads must not keep heartbeats waiting
    checks: CapacityLimiter  # of texts being written: they keep the processor busy

    def notify(self, most: int | None = None) -> None:
        """Tell event streams of a change, and as many idle workers, or all."""
        self.work.notify(most)
        self.changes.notify()

    def hear(self, topic: str, most: int | None) -> None:
        """Wake those who wait for what another server process has told of."""
        if topic == WORK:
            self.work.hear(most)
        elif topic == CHANGES:
            self.changes.hear(most)


_MOST_BYTES = 2**53 - 1  # that a number in JSON can count
Digest = Annotated[
    str,
    Header(
        alias="Content-SHA256",
        pattern=r"^[0-9a-fA-F]{64}$",
        description="sha256 of the whole file, in hexadecimal",
    ),
]


@dataclass(frozen=True, slots=True)
class Label:
    """What an uploaded file is; none of it ever becomes a path."""

    kind: Annotated[
        Literal[
            ArtifactKind.CHECKPOINT,
            ArtifactKind.MODEL,
            ArtifactKind.LOG,
            ArtifactKind.PREVIEW,
            ArtifactKind.PHOTOS,
            ArtifactKind.TRUTH,
            ArtifactKind.PREDICTIONS,
        ],
        Query(),
    ]
    digest: Digest
    step: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None
    details: Annotated[
        str | None,
        Header(
            alias="Artifact-Details",
            max_length=_LONGEST_DETAILS,
            description="What lies where on a sheet of validation images, as JSON in ASCII; needed "
            "for these, and for nothing else",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestLabel(Label):
    """What an uploaded file is, and where the bytes that come begin in it."""

    offset: Annotated[
        int,
        Header(
            alias="Upload-Offset", ge=0, le=_MOST_BYTES, description="Bytes that are there already"
        ),
    ]
    complete: Annotated[
        Literal["?1"], Header(alias="Upload-Complete", description="The body is all of the rest")
    ]


# Dependencies are coroutines, because FastAPI sends plain functions through its thread pool.
async def _app_state(request: Request) -> AppState:
    found: AppState = request.app.state.opened
    return found


async def _db(request: Request) -> Database:
    db: Database = request.app.state.opened.db
    return db


async def _permitted(request: Request) -> None:
    """Let a request come to its route only if its caller has the scope for it."""
    caller: Caller | None = request.scope.get(CALLER)
    wanted: scopes.Wanted = request.app.state.scopes.get(request.scope["endpoint"], scopes.ADMIN)
    scopes.require(caller, wanted)


PERMITTED = Depends(_permitted)  # of every route, before its body is read
App = Annotated[AppState, Depends(_app_state)]
Db = Annotated[Database, Depends(_db)]

StudyRef = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="Id or name of a study")
]
TrialNumber = Annotated[int, Path(ge=0, le=MAX_ID, description="Number within the study")]
AttemptNumber = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="Which attempt; the last one if left out")
]
ArtifactId = Annotated[int, Path(ge=1, le=MAX_ID)]
ArtifactName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
LeaseId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
LeaseToken = Annotated[
    str,
    Header(
        alias="Lease-Token",
        pattern=r"^[A-Za-z0-9_-]{1,128}$",
        description="The token of the assignment; a stale one gets 409 lease-lost",
    ),
]


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where an artifact goes: whose it is, and its name."""

    lease: LeaseId
    name: ArtifactName
    token: LeaseToken


UploadTarget = Annotated[UploadPlace, Depends()]
UploadLabel = Annotated[Label, Depends()]
UploadRest = Annotated[RestLabel, Depends()]
Limit = Annotated[int, Query(ge=1, le=500, description="Items on a page")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next` of the page before this one")
]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Only what has a higher number")]

SpecBody = Annotated[StudySpec, Depends(bodies.STUDY)]
ChangeBody = Annotated[StudyChange, Depends(bodies.CHANGE)]
CopyBody = Annotated[CloneRequest, Depends(bodies.COPY)]
TrialBody = Annotated[TrialRequest, Depends(bodies.NEW_TRIAL)]
LeaseBody = Annotated[LeaseRequest, Depends(bodies.ASK)]
VitalsBody = Annotated[Vitals, Depends(bodies.VITALS)]
ReportsBody = Annotated[ReportBatch, Depends(bodies.BATCH)]
NewTokenBody = Annotated[TokenRequest, Depends(bodies.NEW_TOKEN)]
RotationBody = Annotated[RotationRequest, Depends(bodies.ROTATION)]
OwnerBody = Annotated[OwnerChange, Depends(bodies.OWNER)]
MaintenanceBody = Annotated[MaintenanceRequest, Depends(bodies.MAINTENANCE)]
MeasuredBody = Annotated[Measured, Depends(bodies.MEASURED)]
OutcomeBody = Annotated[Outcome, Depends(bodies.END)]
