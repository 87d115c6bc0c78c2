"""What the confirmation of a study's leaders has shown, in words; pure."""

from collections.abc import Sequence

from tuner.search.confirmation import Comparison, LeaderResult
from tuner.spec.study import StudySpec
from tuner.wording import quantity

_LEVEL = 1e-12  # below it are rounding errors of sums


def verdict(
    spec: StudySpec,
    ranked_leaders: Sequence[LeaderResult],
    duel: Comparison | None,
    *,
    is_complete: bool,
) -> str:
    """The outcome in words."""
    if not is_complete:
        return "still training with fresh seeds; until then trials rank by their search value"
    first = ranked_leaders[0]
    if first.mean is None:
        return "no training with a fresh seed completed; trials rank by their search value"
    if len(spec.objectives) > 1:
        return _front_verdict(ranked_leaders)
    if duel is None:
        alone = len(ranked_leaders) == 1
        why = "nothing to compare with" if alone else "no seed to compare with the next"
        return f"trial {first.trial} reaches {first.mean:.4f} in the mean; {why}"
    return _compared(first, ranked_leaders[1], duel)


def _compared(first: LeaderResult, second: LeaderResult, duel: Comparison) -> str:
    """The leader that is ahead over the seeds that both completed, and why it is not the first."""
    lead = f"{_lead(first, second, duel)} over {quantity(duel.pairs, 'paired seed')}"
    if duel.p_value is None:
        said = f"{lead}: one seed cannot tell a lead from noise"
    else:
        finding = "within the noise" if duel.is_noise else "more than noise"
        said = f"{lead}: {finding} (paired t-test, p = {duel.p_value:.2g})"
    if duel.lead >= _LEVEL:
        return said
    if first.is_feasible and not second.is_feasible:
        why = f"trial {second.trial} breaks a constraint"
        return f"{said}; trial {first.trial} ranks first because {why}"
    if duel.lead > -_LEVEL:
        return said
    return f"{said}; trial {first.trial} ranks first by the mean of all its seeds"


def _lead(first: LeaderResult, second: LeaderResult, duel: Comparison) -> str:
    if duel.lead >= _LEVEL:
        return f"trial {first.trial} leads trial {second.trial} by {_size(duel.lead)}"
    if duel.lead > -_LEVEL:
        return f"trials {first.trial} and {second.trial} are level"
    return f"trial {second.trial} is ahead of trial {first.trial} by {_size(duel.lead)}"


def _size(lead: float) -> str:
    """Its size with four decimals, a tiny one with the digits that it has."""
    size = abs(lead)
    return f"{size:.4f}" if size >= 1e-4 else f"{size:.1e}"


def _front_verdict(ranked_leaders: Sequence[LeaderResult]) -> str:
    """Which leaders keep their place on the front, in words."""
    kept = _named([one.trial for one in ranked_leaders if one.is_on_front])
    beaten = [one.trial for one in ranked_leaders if one.is_on_front is False]
    if not kept:
        return "no leader keeps the constraints in the mean of the fresh seeds"
    held = f"in the mean of the fresh seeds {kept} on the front"
    return f"{held}; {_named(beaten)} not" if beaten else held


def _named(numbers: Sequence[int]) -> str:
    """Trials with their verb: `trial 3 is`, `trials 3 and 5 are`."""
    *most, last = map(str, sorted(numbers)) if numbers else ("",)
    if not last:
        return ""
    return f"trials {', '.join(most)} and {last} are" if most else f"trial {last} is"
