"""The empirical distribution of values: which share of trials is at least as bad as each value."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.axes import Axis, linear, robust
from api.dashboard.charts.frame import chart, grid
from api.dashboard.charts.svg import element, steps, stretched
from api.dashboard.words import gettext as _
from tuner.service.trial_points import StudyPoints
from tuner.spec.states import TrialState

STEPS = 240  # of one staircase


@dataclass(frozen=True, slots=True)
class Staircase:
    """Trials of one study: rising values, with the share of trials up to each."""

    label: str
    study: int
    trials: int
    steps: tuple[tuple[float, float], ...]
    hue: int


@dataclass(frozen=True, slots=True)
class EdfChart:
    """Staircases over one axis; of a loss, the further left the better."""

    metric: str
    direction: str
    x: Axis
    stairs: tuple[Staircase, ...]

    @property
    def matching(self) -> int:
        """Trials of the study itself that have a value."""
        return max((one.trials for one in self.stairs), default=0)


def fold_edf(studies: Sequence[StudyPoints]) -> EdfChart:
    """Of the first study completed trials, and all that were trained; of others the completed."""
    own, *others = studies
    completed = _values(own, {TrialState.COMPLETED})
    trained = _values(own, set(TrialState))
    found = [(_("completed"), own.id, completed)]
    if len(trained) > len(completed):
        best = _("all that were trained, at their best epoch")
        last = _("all that were trained, at their last epoch")
        found.append((best if own.objective.counts_best else last, own.id, trained))
    found += [(each.name, each.id, _values(each, {TrialState.COMPLETED})) for each in others]
    stairs = [
        Staircase(label, study, len(values), _steps(values), hue)
        for hue, (label, study, values) in enumerate(found)
        if values
    ]
    everything = [value for _label, _study, values in found for value in values]
    return EdfChart(
        metric=own.objective.metric,
        direction=own.objective.direction,
        x=robust(everything, better_high=own.objective.direction == "maximize"),
        stairs=tuple(stairs),
    )


def draw_edf(folded: EdfChart) -> Markup:
    """One staircase per group of trials, named at its end."""
    y = linear((0, 1), count=4)
    paths = [
        element(
            "path",
            element("title", f"{one.label} · {spoken.quantity(one.trials, 'trial')}"),
            class_=f"line hue{one.hue}",
            d=steps((folded.x.position(value), share) for value, share in _inside(one, folded.x)),
        )
        for one in folded.stairs
    ]
    return chart(
        grid(folded.x, y),
        stretched(*paths),
        label=_("Distribution of %(metric)s: %(groups)s")
        % {
            "metric": folded.metric,
            "groups": _(", ").join(
                f"{one.label} {spoken.quantity(one.trials, 'trial')}" for one in folded.stairs
            ),
        },
    )


def _inside(one: Staircase, x: Axis) -> list[tuple[float, float]]:
    """Its steps from where the axis begins."""
    before = [share for value, share in one.steps if value < x.low]
    kept = [(value, share) for value, share in one.steps if x.low <= value <= x.high]
    start = before[-1] if before else 0.0
    return [(x.low, start), *kept]


def _values(points: StudyPoints, states: set[TrialState]) -> list[float]:
    return sorted(
        one.value
        for one in points.trials
        if one.value is not None and one.state in states and one.matches
    )


def _steps(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """A point per value, equal ones as one; of many an even share, the ends always."""
    count = len(values)
    stride = max(1, -(-count // STEPS))
    found: dict[float, float] = {}
    for index, value in enumerate(values, start=1):
        if index % stride == 0 or index in (1, count):
            found[float(f"{value:.6g}")] = round(index / count, 5)
    return tuple(found.items())
