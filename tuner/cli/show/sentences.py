"""What the commands say of studies and trials, as sentences: the same in every command."""

from collections.abc import Iterator

from tuner.spec.failures import gist
from tuner.spec.views import (
    Best,
    ConfirmedLeader,
    ConfirmedObjective,
    FrontView,
    Plan,
    StudySummary,
    TrialSummary,
)
from tuner.wording import better, gain, improvement, metric, quantity

_DIGITS = 4  # of a metric: a line has more room than a column


def number(value: float | None) -> str:
    """A metric with four decimals; a dash where there is none."""
    return metric(value, _DIGITS)


def best(study: StudySummary) -> str:
    """The best value so far, whose it is, and the gain over trial 0."""
    name = study.objective.metric
    if study.best_value is None:
        if study.state.has_ended:
            return "no trial completed"
        return f"no completed trial yet ({better(study.objective.direction)} {name} is better)"
    text = f"best {name} {number(study.best_value)} (trial {study.best_trial})"
    if study.base_value is None:
        return text
    return f"{text}, {over_base(study)} over trial 0"


def over_base(study: StudySummary) -> str:
    """The gain of the best value over trial 0."""
    return gain(improvement(study.best_value, study.base_value), _DIGITS)


def standstill(study: StudySummary) -> str:
    """Why a study waits, or what its state has as its reason; empty while all is well."""
    return f"waits: {study.waiting_for}" if study.waiting_for else study.reason


def why(trial: TrialSummary) -> str:
    """A trial's reason with the text of its error, whichever release wrote it."""
    if not trial.error or trial.reason != trial.error_kind:
        return trial.reason
    return f"{trial.reason}: {gist(trial.error)}"


def confirmation(found: Best) -> list[str]:
    """What fresh seeds said of the leaders: the verdict, then a line per leader."""
    if found.confirmation is None:
        return []
    lines = [f"confirmation: {found.confirmation.verdict}"]
    for leader in found.confirmation.leaders:
        seeds = quantity(len(leader.values), "seed")
        each = [f"{name} {spread(own)}" for name, own in leader.objectives.items()]
        fresh = f"{', '.join(each) or spread(leader)} over {seeds}"
        lost = f", {leader.lost} lost" if leader.lost else ""
        bounds = ", breaks a constraint" if leader.feasible is False else ""
        bounds += {True: ", on the front", False: ", off the front", None: ""}[leader.on_front]
        searched = f"{number(leader.searched)} in the search"
        lines.append(f"  trial {leader.trial}: {fresh}{lost}{bounds}; {searched}")
    return lines


def spread(found: ConfirmedLeader | ConfirmedObjective) -> str:
    """A mean over fresh seeds with the standard deviation of one training."""
    return f"{number(found.mean)} ± {number(found.spread)}"


def hypervolume(view: FrontView) -> str:
    """The front's hypervolume, and the point up to which it counts."""
    if not view.reference:
        return "no completed trial yet, so no hypervolume"
    corner = ", ".join(
        f"{objective.metric} {number(value)}"
        for objective, value in zip(view.objectives, view.reference, strict=True)
    )
    return f"hypervolume {view.hypervolume:.6g} up to {corner}"


def costs(plan: Plan) -> Iterator[tuple[str, str]]:
    """What a plan expects to train and to take, row by row."""
    if plan.confirm_epochs:
        yield "confirmation", f"{quantity(plan.confirm_epochs, 'epoch')} with fresh seeds"
    if plan.expected_epochs is not None:
        stages = ", ".join(f"{stage.trials:.0f} to {stage.epoch}" for stage in plan.stages)
        after = f"; trials trained to epoch: {stages}" if stages else ", each trial its own"
        yield "expected", f"{quantity(round(plan.expected_epochs), 'epoch')}{after}"
    again = f" + {plan.confirm_epochs}" if plan.confirm_epochs else ""
    # Where each rung is a training of its own, a trial may take more than its epochs.
    whole = f"{plan.trials} × {(plan.worst_case_epochs - plan.confirm_epochs) // plan.trials}"
    if plan.spec.searches_epochs:
        base, most = plan.spec.base.training.epochs, plan.spec.most_drawn_epochs
        whole = f"{base} + {plan.trials - 1} × {most}"
    yield "worst case", f"{whole}{again} = {quantity(plan.worst_case_epochs, 'epoch')}"
    if plan.cost is not None:
        cost = plan.cost
        yield "epoch", f"{cost.epoch_seconds:.3g} s, {cost.source}"
        yield "device hours", _at_most(cost.device_hours, cost.worst_device_hours)
        wall = _at_most(cost.wall_hours, cost.worst_wall_hours)
        yield "hours", f"{wall} with {quantity(cost.workers, 'worker')}"


def _at_most(expected: float | None, worst: float) -> str:
    return f"up to {worst:.3g}" if expected is None else f"{expected:.3g}, at most {worst:.3g}"


def counts(study: StudySummary) -> str:
    """How many trials are in each state that has any."""
    states = study.counts.model_dump()
    return ", ".join(f"{states[state]} {state}" for state in states if states[state]) or "no trials"
