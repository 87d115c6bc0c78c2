"""Confirmation of a study's leaders: which trainings are due, and what the ended ones say."""

from collections.abc import Sequence
from datetime import datetime
from statistics import fmean

from sqlalchemy.orm import Session

from tuner.configs.seeds import fresh_seeds
from tuner.search import confirmation as search
from tuner.search.confirmation import LeaderResult, Rerun
from tuner.search.leaders import leaders
from tuner.service import pareto
from tuner.service.confirmation_verdict import verdict
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.study import Confirmation, StudySpec
from tuner.spec.versions import DataVersions, is_comparable
from tuner.spec.views import ConfirmationView, ConfirmedLeader, ConfirmedObjective
from tuner.store import lineage, trials
from tuner.store.tables import Study, Trial

LeaderSeed = tuple[int, int]  # number of the leader, place of the fresh seed


def due(
    session: Session, study: Study, spec: StudySpec, *, again: bool = False
) -> list[tuple[Trial, int]]:
    """Leaders with the places of fresh seeds that they were not trained with yet.

    `again` counts in what was broken off by a spent budget; failures are never repeated.
    """
    if spec.search.confirm is None:
        return []
    known = _by_pair(trials.confirmations(session, study))
    return [
        (leader, place)
        for leader in _leaders(session, study, spec, spec.search.confirm)
        for place in range(spec.search.confirm.seeds)
        if (old := known.get((leader.number, place))) is None
        or (again and old.state == TrialState.PRUNED)
    ]


def create(
    session: Session, study: Study, spec: StudySpec, *, now: datetime, again: bool = False
) -> int:
    """Add the trials that are due to a locked study; they wait. Gives their number."""
    wanted = due(session, study, spec, again=again)
    count = spec.search.confirm.seeds if spec.search.confirm else 0
    seeds = fresh_seeds(spec.search.seed, count)
    for leader, place in wanted:
        new = trials.NewTrial(
            leader.params,
            {**leader.config, "seed": seeds[place]},
            source=TrialSource.CONFIRM,
            parent=leader.number,
            replica=place,
        )
        trials.add(session, study, new, now=now)
    return len(wanted)


def leader(session: Session, study: Study, spec: StudySpec) -> Trial | None:
    """The best feasible completed trial: by its fresh seeds once all leaders had theirs."""
    ranked_leaders, is_complete = _ranked_leaders(session, study, spec)
    if not is_complete or not ranked_leaders:
        return trials.best(session, study, maximize=_maximize(spec))
    return trials.find(session, study, ranked_leaders[0].trial)


def view(session: Session, study: Study, spec: StudySpec) -> ConfirmationView | None:
    """What the confirmation has shown so far; None before it began."""
    ranked_leaders, is_complete = _ranked_leaders(session, study, spec)
    if not ranked_leaders:
        return None
    config = spec.search.confirm
    seeds = fresh_seeds(spec.search.seed, config.seeds if config else 0)
    # Members of a front do not compete: none of them needs to be the first.
    two = len(ranked_leaders) > 1 and len(spec.objectives) == 1
    duel = search.compare(ranked_leaders[0], ranked_leaders[1], spec.objective) if two else None
    return ConfirmationView(
        complete=is_complete,
        seeds=seeds,
        leaders=tuple(_confirmed(one, spec) for one in ranked_leaders),
        lead=None if duel is None else duel.lead,
        pairs=0 if duel is None else duel.pairs,
        p_value=None if duel is None else duel.p_value,
        within_noise=None if duel is None else duel.is_noise,
        verdict=verdict(spec, ranked_leaders, duel, is_complete=is_complete),
    )


def _ranked_leaders(
    session: Session, study: Study, spec: StudySpec
) -> tuple[tuple[LeaderResult, ...], bool]:
    """Leaders by rank, and whether every training of theirs has ended; none before it began."""
    if spec.search.confirm is None or study.confirmations == 0:
        return (), False
    known = _by_pair(trials.confirmations(session, study))
    leaders = _leaders(session, study, spec, spec.search.confirm)
    places = range(spec.search.confirm.seeds)
    ranked = DataVersions.of(study.data_versions).ranked
    reruns = [
        _rerun(known[pair], ranked)
        for leader in leaders
        for place in places
        if (pair := (leader.number, place)) in known
    ]
    if not reruns:
        return (), False
    is_complete = len(reruns) == len(leaders) * len(places) and all(r.has_ended for r in reruns)
    values = {leader.number: leader.value for leader in leaders if leader.value is not None}
    return search.ranked_leaders(spec, values, reruns), is_complete


def _leaders(
    session: Session, study: Study, spec: StudySpec, wanted: Confirmation
) -> Sequence[Trial]:
    """The best of the search; with several objectives those that represent its front best."""
    if len(spec.objectives) > 1:
        rated = pareto.rated(session, study, spec)
        chosen = leaders([one.values for one in rated], spec.objectives, wanted.top)
        return [trials.find(session, study, rated[index].result.number) for index in chosen]
    return trials.leaders(session, study, maximize=_maximize(spec), limit=wanted.top)


def _maximize(spec: StudySpec) -> bool:
    return spec.objective.direction == "maximize"


def _by_pair(found: Sequence[Trial]) -> dict[LeaderSeed, Trial]:
    """Trials by leader and seed, the newest of each."""
    return {lineage.confirmed(trial): trial for trial in found}


def _rerun(trial: Trial, ranked: str | None) -> Rerun:
    """A training with a fresh seed; on other data than the search's it says nothing."""
    leader, place = lineage.confirmed(trial)
    completed = trial.state == TrialState.COMPLETED and is_comparable(trial.data_version, ranked)
    return Rerun(
        leader=leader,
        seed=place,
        metrics=trial.metrics if completed else {},
        has_ended=TrialState(trial.state).has_ended,
    )


def _confirmed(result: LeaderResult, spec: StudySpec) -> ConfirmedLeader:
    by_metric = {spec.objective.metric: result.values, **result.others}
    several = by_metric if len(spec.objectives) > 1 and result.values else {}
    return ConfirmedLeader(
        trial=result.trial,
        searched=result.searched,
        mean=result.mean,
        spread=result.spread,
        values=tuple(value for _, value in sorted(result.values.items())),
        lost=result.lost,
        feasible=result.is_feasible if result.values else None,
        on_front=result.is_on_front,
        objectives={
            metric: ConfirmedObjective(mean=fmean(own.values()), spread=search.spread(own))
            for metric, own in several.items()
        },
    )
