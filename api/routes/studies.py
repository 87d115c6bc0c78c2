"""Studies: submit, list, show, change, clone, delete, and what they found."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response, status

from api.deps import App, ChangeBody, CopyBody, Cursor, Db, Limit, SpecBody, StudyRef
from tuner.service import (
    explanations,
    importance,
    overview,
    pareto,
    planning,
    rankings,
    sources,
    studies,
    study_lists,
)
from tuner.service.study_lists import StudySelection, StudySort
from tuner.spec import yaml_core
from tuner.spec.access import TokenName
from tuner.spec.explanation import ExplanationView
from tuner.spec.sources import SourceView
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import (
    Best,
    Curve,
    FrontView,
    HistoryPoint,
    ImportanceView,
    Page,
    Plan,
    Ranked,
    StudySummary,
    StudyView,
    TrialSummary,
)

router = APIRouter(prefix="/studies", tags=["studies"])
_METRIC = "Any reported metric, or one of its confusion matrix: recall.car, iou.[car,pedestrian]"
Metric = Annotated[
    str | None, Query(max_length=300, description=f"{_METRIC}; default: the first objective")
]
Direction = Annotated[
    Literal["maximize", "minimize"] | None, Query(description="Default: as the metric is better")
]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=StudyView,
    responses={
        200: {"model": StudyView | Plan, "description": "A plan, or a study made by the same key"}
    },
)
def create_study(  # noqa: PLR0913  # one argument for each parameter of the route
    app: App,
    spec: SpecBody,
    response: Response,
    *,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,200}$",
            description="The same key with the same study creates it once",
        ),
    ] = None,
    dry_run: Annotated[bool, Query(description="Only check, and answer 200 with the plan")] = False,
    epoch_seconds: Annotated[
        float | None,
        Query(
            gt=0,
            le=1e9,
            description="Of one epoch, for the plan; default: as in the last study of its data set",
        ),
    ] = None,
    workers: Annotated[
        int | None, Query(ge=1, le=100_000, description="For the plan; default: `parallel`")
    ] = None,
) -> StudyView | Response:
    """Submit a study as JSON or YAML; every mistake in it is named with its place."""
    if dry_run:
        plan = planning.plan(app.db, spec, epoch_seconds=epoch_seconds, workers=workers)
        return Response(plan.model_dump_json(), media_type="application/json")
    view, created = studies.submit(app.db, spec, idempotency_key=idempotency_key)
    app.notify()
    response.headers["Location"] = f"/api/v1/studies/{view.id}"
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return view


@router.get("")
def list_studies(  # noqa: PLR0913  # one argument for each query parameter of the list
    db: Db,
    *,
    search: Annotated[
        str, Query(max_length=200, description="Words of the name, the data set or the networks")
    ] = "",
    state: StudyState | None = None,
    sort: StudySort = "created",
    descending: Annotated[
        bool | None, Query(description="Default: by name and state no, by all else yes")
    ] = None,
    deleted: Annotated[
        bool, Query(description="Only those that were deleted lately and can be restored")
    ] = False,
    owner: Annotated[
        TokenName | None, Query(description="Only those that a token of this owner submitted")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[StudySummary]:
    """Studies, newest first, or in another order."""
    if deleted:
        return Page(items=study_lists.deleted(db))
    selection = StudySelection(search, state, sort, descending, cursor, limit, owner)
    return study_lists.page(db, selection)


@router.get("/{study}")
def get_study(db: Db, study: StudyRef) -> StudyView:
    """One study with its whole document."""
    return overview.study(db, study)


@router.patch("/{study}")
def change_study(app: App, study: StudyRef, change: ChangeBody) -> StudyView:
    """Pause, resume or cancel a study; change its priority, weight or budget."""
    view = studies.change(app.db, study, change)
    app.notify()
    return view


@router.post("/{study}/clone", status_code=status.HTTP_201_CREATED)
def clone_study(app: App, study: StudyRef, request: CopyBody, response: Response) -> StudyView:
    """Copy a study's document under a new name, with top-level keys replaced."""
    view = studies.clone(app.db, study, request)
    app.notify()
    response.headers["Location"] = f"/api/v1/studies/{view.id}"
    return view


@router.delete("/{study}", status_code=status.HTTP_204_NO_CONTENT)
def delete_study(
    app: App,
    study: StudyRef,
    *,
    cancel: Annotated[bool, Query(description="Also while trials run: their work is lost")] = False,
) -> None:
    """Delete a study and all that hangs under it; for a while it can be restored."""
    studies.delete(app.db, study, cancel=cancel)
    app.notify()


@router.post("/{study}/restore")
def restore_study(app: App, study: StudyRef) -> StudyView:
    """Bring back a study that was deleted lately, by its id or the name that it had."""
    view = studies.restore(app.db, study)
    app.notify()
    return view


@router.get("/{study}/curves")
def list_curves(
    db: Db,
    study: StudyRef,
    *,
    metric: Annotated[
        str | None, Query(max_length=300, description="Default: the first objective")
    ] = None,
    state: Annotated[
        list[TrialState] | None, Query(description="Only trials in these states")
    ] = None,
    limit: Limit = 50,
) -> tuple[Curve, ...]:
    """One metric of each trial over its steps."""
    states = None if state is None else set(state)
    return overview.curves(db, study, metric=metric, states=states, limit=limit)


@router.get("/{study}/history")
def list_history(db: Db, study: StudyRef) -> tuple[HistoryPoint, ...]:
    """Ended trials in the order of ending, with the best value up to each."""
    return overview.history(db, study)


@router.get(
    "/{study}/best",
    response_model=Best,
    responses={
        200: {"content": {"application/yaml": {"schema": {"$ref": "#/components/schemas/Best"}}}}
    },
)
def get_best(
    db: Db,
    study: StudyRef,
    *,
    form: Annotated[Literal["json", "yaml"], Query(alias="format")] = "json",
    objective: Metric = None,
    direction: Direction = None,
) -> Best | Response:
    """The best feasible completed trial; its `config` trains again to the same number."""
    best = overview.best(db, study, objective=objective, direction=direction)
    if form == "json":
        return best
    text = yaml_core.dump(best.model_dump(mode="json"))
    return Response(text, media_type="application/yaml")


@router.get("/{study}/importance")
def get_importance(
    app: App,
    study: StudyRef,
    *,
    objective: Metric = None,
    direction: Direction = None,
    method: Annotated[
        importance.Method,
        Query(description="fanova takes seconds: until then the reply's `state` is `computing`"),
    ] = "ped_anova",
) -> ImportanceView:
    """Which params decide whether a trial is among the best, or explain how trials differ."""
    if method == "fanova":
        return app.importance.fanova(app.db, study, objective=objective, direction=direction)
    return importance.ped_anova(app.db, study, objective=objective, direction=direction)


@router.get("/{study}/sources")
def get_sources(db: Db, study: StudyRef) -> tuple[SourceView, ...]:
    """What draws the trials now: each source's share, and what it has earned it by.

    Empty where one sampler draws by itself, and once the study has ended.
    """
    return sources.sources(db, study)


@router.get("/{study}/explanation")
def get_explanation(
    db: Db, study: StudyRef, *, objective: Metric = None, direction: Direction = None
) -> ExplanationView:
    """Importance with its uncertainty, interactions, the best tenth, failures: some seconds."""
    return explanations.explanation(db, study, objective=objective, direction=direction)


@router.get("/{study}/ranking")
def list_ranking(
    db: Db,
    study: StudyRef,
    *,
    objective: Annotated[str, Query(max_length=300, description=_METRIC)],
    direction: Direction = None,
) -> tuple[Ranked, ...]:
    """Feasible completed trials by any metric, the best first; nothing is trained for it."""
    return rankings.ranking(db, study, objective, direction=direction)


@router.get("/{study}/pareto")
def list_pareto(db: Db, study: StudyRef) -> tuple[TrialSummary, ...]:
    """Trials that no other trial beats in every objective."""
    return overview.pareto(db, study)


@router.get("/{study}/front")
def get_front(
    db: Db,
    study: StudyRef,
    *,
    reference: Annotated[
        list[float] | None,
        Query(max_length=4, description="One value per objective; default: the worst seen of each"),
    ] = None,
) -> FrontView:
    """Completed trials in the order of ending, with the hypervolume of the front up to each."""
    return pareto.front(db, study, reference=reference)
