"""The client: a method for each thing that the REST interface does."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx

from tuner.answers import messages, save, unreachable
from tuner.client import requests
from tuner.client.connection import RestConnection
from tuner.client.requests import StudyId, StudyInput
from tuner.client.tokens import Tokens
from tuner.errors import ServerUnreachable
from tuner.spec.address import checked
from tuner.spec.explanation import ExplanationView
from tuner.spec.fleet import LogView, LostTrial, QueueView, WorkerView
from tuner.spec.sources import SourceView
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import (
    Best,
    CloneRequest,
    Curve,
    Event,
    FrontView,
    HistoryPoint,
    ImportanceView,
    Page,
    Plan,
    Ranked,
    StepView,
    StudyChange,
    StudySummary,
    StudyView,
    TrialRequest,
    TrialSummary,
    TrialView,
)
from tuner.transport import transport_to

DEFAULT_SERVER = "http://127.0.0.1:8000"
_PATIENT = 120.0  # seconds, for what the server computes when it is asked


class Client:
    """A connection to a segtune server; one per program is enough, threads may share it."""

    def __init__(
        self,
        server: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Take server and token from SEGTUNE_SERVER and SEGTUNE_TOKEN where they are not given."""
        self.server = checked(server or os.environ.get("SEGTUNE_SERVER") or DEFAULT_SERVER)
        token = token or os.environ.get("SEGTUNE_TOKEN")
        http = httpx.Client(
            base_url=f"{self.server}/api/v1/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            transport=transport or transport_to(self.server, retries=2),
        )
        self._connection = RestConnection(self.server, http)
        self.tokens = Tokens(self._connection)

    def __repr__(self) -> str:
        """Name the server, never the token."""
        return f"Client({self.server!r})"

    def __enter__(self) -> "Client":
        """Give the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    # ── Studies ──────────────────────────────────────────────────────────────────────────────

    def submit(self, study: StudyInput, *, idempotency_key: str | None = None) -> StudyView:
        """Submit a study: a StudySpec, a mapping, or the path of a YAML or JSON file."""
        key = idempotency_key or uuid.uuid4().hex
        content, kind = requests.document(study)
        headers = {"Content-Type": kind, "Idempotency-Key": key}
        return self._connection.get(StudyView, "POST", "studies", content=content, headers=headers)

    def plan(
        self,
        study: StudyInput,
        *,
        epoch_seconds: float | None = None,
        workers: int | None = None,
    ) -> Plan:
        """What a study would do and cost, without submitting it.

        Args:
            epoch_seconds: of one epoch; as in an earlier study of the same data set when None.
            workers: that train at the same time; `parallel` when None.
        """
        content, kind = requests.document(study)
        headers = {"Content-Type": kind}
        query = requests.given(
            {"dry_run": True, "epoch_seconds": epoch_seconds, "workers": workers}
        )
        return self._connection.get(
            Plan, "POST", "studies", content=content, headers=headers, params=query
        )

    def studies(
        self,
        *,
        search: str | None = None,
        state: StudyState | str | None = None,
        sort: str | None = None,
        descending: bool | None = None,
        deleted: bool = False,
        owner: str | None = None,
    ) -> Iterator[StudySummary]:
        """Every study, newest first or in another order, fetched page by page.

        Args:
            search: words of the name, the data set or the networks.
            sort: created, name, state, best, gain, progress, priority or hours.
            deleted: only those that were deleted lately and can be restored.
        """
        query = {"search": search, "state": state, "sort": sort, "descending": descending}
        return self._connection.pages(
            Page[StudySummary], "studies", {**query, "deleted": deleted or None, "owner": owner}
        )

    def study(self, study: StudyId) -> StudyView:
        """One study by id or name."""
        return self._connection.get(StudyView, "GET", requests.study(study))

    def change(self, study: StudyId, **changes: Any) -> StudyView:
        """Change a study's state, or any other key of `StudyChange`: trials, max_hours, …"""
        # What is left out stays as it is, and None says that there is no limit any more.
        body = requests.body(requests.valid(StudyChange, **changes), keep_null=True)
        return self._connection.get(StudyView, "PATCH", requests.study(study), **body)

    def pause(self, study: StudyId) -> StudyView:
        """Hand out no new trials; running ones hand in a checkpoint."""
        return self.change(study, state="paused")

    def resume(self, study: StudyId) -> StudyView:
        """Go on with a paused study."""
        return self.change(study, state="running")

    def cancel(self, study: StudyId) -> StudyView:
        """End a study; what it found stays."""
        return self.change(study, state="cancelled")

    def clone(self, study: StudyId, *, name: str | None = None, **changes: Any) -> StudyView:
        """Copy a study's document, with top-level keys replaced, into a new study."""
        request = requests.valid(CloneRequest, name=name, changes=changes)
        return self._connection.get(
            StudyView, "POST", f"{requests.study(study)}/clone", **requests.body(request)
        )

    def delete(self, study: StudyId, *, cancel: bool = False) -> None:
        """Delete a study and all that hangs under it; `cancel` does so while trials run, too."""
        self._connection.send(
            "DELETE", requests.study(study), params=requests.given({"cancel": cancel or None})
        )

    def restore(self, study: StudyId) -> StudyView:
        """Bring back a study that was deleted lately, by its id or the name that it had."""
        return self._connection.get(StudyView, "POST", f"{requests.study(study)}/restore")

    def wait(
        self,
        study: StudyId,
        timeout: float | None = None,
        *,
        every: float = 2.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> StudyView:
        """Wait until a study has ended, `timeout` seconds at most. Raises TimeoutError."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (view := self.study(study)).state.has_ended:
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"study {view.name} is still {view.state} after {timeout:g} s")
            sleep(every)
        return view

    def events(
        self,
        study: StudyId,
        after: int = 0,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[Event]:
        """Every change of a study after event `after`, as it happens; reconnects without loss.

        The generator has no end of its own: break out of it, or stop at `study.finished`.
        """
        pause = 1.0
        while True:
            try:
                for event in self._stream_events(study, after):
                    after, pause = event.seq, 1.0
                    yield event
            except ServerUnreachable:
                pause = min(2 * pause, 30.0)
            sleep(pause)

    # ── Trials ───────────────────────────────────────────────────────────────────────────────

    def trials(
        self,
        study: StudyId,
        *,
        sort: str = "number",
        descending: bool = False,
        state: TrialState | str | None = None,
        filter: str | None = None,  # as the parameter is called
        metrics: Sequence[str] = (),
    ) -> Iterator[TrialSummary]:
        """Every trial of a study, fetched page by page; a filter as in `miou > .6 and lr < 1e-2`.

        Args:
            metrics: of the step that counts or its matrix, to come with each trial.
        """
        query = {
            "sort": sort,
            "descending": descending,
            "state": state,
            "filter": filter,
            "metrics": list(metrics) or None,
            "limit": 200,
        }
        return self._connection.pages(Page[TrialSummary], f"{requests.study(study)}/trials", query)

    def trial(self, study: StudyId, number: int) -> TrialView:
        """One trial with its config, attempts and artifacts."""
        return self._connection.get(TrialView, "GET", f"{requests.study(study)}/trials/{number}")

    def enqueue(self, study: StudyId, params: Mapping[str, Any]) -> TrialView:
        """Add a trial with these params; every other path keeps the base's value."""
        request = requests.valid(TrialRequest, params=dict(params))
        return self._connection.get(
            TrialView, "POST", f"{requests.study(study)}/trials", **requests.body(request)
        )

    def cancel_trial(self, study: StudyId, number: int) -> TrialView:
        """End one trial."""
        return self._connection.get(
            TrialView, "POST", f"{requests.study(study)}/trials/{number}/cancel"
        )

    def retry_trial(self, study: StudyId, number: int) -> TrialView:
        """Let a failed trial wait again, with its params and all its attempts."""
        return self._connection.get(
            TrialView, "POST", f"{requests.study(study)}/trials/{number}/retry"
        )

    def steps(self, study: StudyId, number: int, *, after: int = 0) -> tuple[StepView, ...]:
        """The metrics of each step of a trial."""
        path = f"{requests.study(study)}/trials/{number}/steps"
        return self._connection.list(tuple[StepView, ...], path, after=after)

    def log(self, study: StudyId, number: int, *, attempt: int | None = None) -> LogView:
        """The last output of a trial's attempt, of the last one if none is given."""
        return self._connection.list(
            LogView, f"{requests.study(study)}/trials/{number}/log", attempt=attempt
        )

    def curves(
        self, study: StudyId, *, metric: str | None = None, limit: int = 50
    ) -> tuple[Curve, ...]:
        """One metric of the trials of a study over their steps; the objective by default."""
        return self._connection.list(
            tuple[Curve, ...], f"{requests.study(study)}/curves", metric=metric, limit=limit
        )

    def history(self, study: StudyId) -> tuple[HistoryPoint, ...]:
        """Ended trials in the order of ending, with the best value up to each."""
        return self._connection.list(tuple[HistoryPoint, ...], f"{requests.study(study)}/history")

    def best(
        self, study: StudyId, *, objective: str | None = None, direction: str | None = None
    ) -> Best:
        """The best configuration so far, by the study's first objective or any other metric.

        Raises:
            NotFound: no trial has completed, or none stored what the metric derives from.
        """
        return self._connection.list(
            Best, f"{requests.study(study)}/best", objective=objective, direction=direction
        )

    def ranking(
        self, study: StudyId, objective: str, *, direction: str | None = None
    ) -> tuple[Ranked, ...]:
        """Feasible completed trials by any metric, the best first; nothing is trained."""
        path = f"{requests.study(study)}/ranking"
        return self._connection.list(
            tuple[Ranked, ...], path, objective=objective, direction=direction
        )

    def pareto(self, study: StudyId) -> tuple[TrialSummary, ...]:
        """Trials that no other trial beats in every objective."""
        return self._connection.list(tuple[TrialSummary, ...], f"{requests.study(study)}/pareto")

    def front(self, study: StudyId, *, reference: Sequence[float] | None = None) -> FrontView:
        """Completed trials in the order of ending, with the hypervolume up to each.

        Args:
            reference: one value per objective; the worst seen of each when None.
        """
        return self._connection.list(
            FrontView, f"{requests.study(study)}/front", reference=reference
        )

    def importance(
        self,
        study: StudyId,
        *,
        objective: str | None = None,
        direction: str | None = None,
        method: Literal["ped_anova", "fanova"] | None = None,
    ) -> ImportanceView:
        """Which params decide whether a trial is good, by the objective or any other metric.

        `fanova` takes the server seconds: while the reply's `state` is `computing`, ask again.
        """
        asked = {"objective": objective, "direction": direction, "method": method}
        return self._connection.list(ImportanceView, f"{requests.study(study)}/importance", **asked)

    def sources(self, study: StudyId) -> tuple[SourceView, ...]:
        """What draws the trials now, with shares; empty where one draws alone, or after the end."""
        return self._connection.list(tuple[SourceView, ...], f"{requests.study(study)}/sources")

    def explanation(
        self, study: StudyId, *, objective: str | None = None, direction: str | None = None
    ) -> ExplanationView:
        """Importance, interactions, the best tenth and failures, by any metric; takes seconds."""
        query = requests.given({"objective": objective, "direction": direction})
        path = f"{requests.study(study)}/explanation"
        return self._connection.get(ExplanationView, "GET", path, params=query, timeout=_PATIENT)

    def workers(self) -> tuple[WorkerView, ...]:
        """Every worker that the server knows."""
        return self._connection.list(tuple[WorkerView, ...], "workers")

    def drain(self, worker: str) -> WorkerView:
        """Let a worker end the trial that it has, and give it no other."""
        return self._connection.get(WorkerView, "POST", f"{requests.worker(worker)}/drain")

    def undrain(self, worker: str) -> WorkerView:
        """Give a drained worker trials again."""
        return self._connection.get(WorkerView, "POST", f"{requests.worker(worker)}/undrain")

    def lost_trials(self, worker: str | None = None) -> Iterator[LostTrial]:
        """Attempts that workers have lost, the last ones first, fetched page by page."""
        return self._connection.pages(
            Page[LostTrial], "workers/lost", requests.given({"worker": worker})
        )

    def queue(self) -> QueueView:
        """Studies in the order in which workers are given their trials, and what each waits for."""
        return self._connection.list(QueueView, "queue")

    def download(self, artifact: int, path: str | os.PathLike[str]) -> Path:
        """Save an artifact; the file appears only when it is whole. Raises DigestMismatch."""
        with self._connection.stream("GET", f"artifacts/{artifact}") as response:
            digest = response.headers.get("ETag", "").removeprefix("W/").strip('"')
            try:
                return save(str(response.url), response.iter_bytes(), Path(path), digest)
            except httpx.TransportError as error:
                raise unreachable(str(response.url), error) from error

    def _stream_events(self, study: StudyId, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        path, timeout = f"{requests.study(study)}/events", httpx.Timeout(30, read=60)
        with self._connection.stream("GET", path, headers=headers, timeout=timeout) as response:
            try:
                for data in messages(response.iter_lines()):
                    event = Event.model_validate_json(data)
                    if event.seq > after:
                        yield event
            except httpx.TransportError as error:
                raise unreachable(self.server, error) from error
