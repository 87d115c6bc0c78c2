"""What a study has taught, as sentences: every claim with its numbers, and what is not known."""

from collections.abc import Iterator, Sequence

from tuner.cli.show.sentences import number
from tuner.spec.explanation import ExplanationView, FailureGroup, Interaction, Trait
from tuner.wording import measure, params, percent, quantity, setting

_CLEAR = 0.1  # of a q-value
_SURE = 0.05  # of a p-value
_UNCLEAR = 0.2  # a share whose interval begins below that of equal shares, by this much of itself
_FEWEST, _FEWEST_BEST = 20, 3  # trials, and of them the best, that tell what mattered
_TRIALS = 8  # numbers of trials in a line


def lines(found: ExplanationView) -> Iterator[str]:
    """The explanation, paragraph by paragraph."""
    objectives = " and ".join(f"{each.metric} ({each.direction}d)" for each in found.objectives)
    at = f"at epoch {found.epoch}" if found.epoch else "at each one's last epoch"
    yield f"{found.study}: {quantity(found.trials, 'trial')} compared by {objectives}, {at}"
    for title, paragraph in (
        ("What mattered", _importance(found)),
        ("What works together", _interactions(found)),
        ("What the best have in common", _best(found)),
        ("What failed", _failures(found)),
    ):
        yield ""
        yield title
        for line in paragraph:
            yield f"  {line}"


def _importance(found: ExplanationView) -> Iterator[str]:
    is_sparse = (
        found.trials < _FEWEST or found.best is None or len(found.best.trials) < _FEWEST_BEST
    )
    if not found.importance or is_sparse:
        yield (
            f"nothing can be said of importance with {quantity(found.trials, 'compared trial')}; "
            f"it takes {_FEWEST}, and {_FEWEST_BEST} that are the best apart from others"
        )
        return
    even = 1 / len(found.importance)
    unclear = []
    for each in found.importance:
        span = f"{percent(each.low)} to {percent(each.high)}"
        if each.low < even * _UNCLEAR and each.share < even:
            unclear.append(f"{each.path} ({percent(each.share)}, {span})")
            continue
        yield (
            f"{each.path}: {percent(each.share)} of reaching the best tenth ({span}); first in "
            f"{percent(each.leading)} of resamples"
        )
    if unclear:
        yield f"may as well not matter: {', '.join(unclear)}"
    yield (
        f"(PED-ANOVA; in brackets the 5th and 95th percentile over {found.resamples} resamples of "
        f"the trials; equal shares would be {percent(even)})"
    )


def _interactions(found: ExplanationView) -> Iterator[str]:
    if not found.pairs:
        yield "no two params have enough trials in every combination to tell"
        return
    sure = [each for each in found.interactions if each.p_value <= _SURE]
    for each in sure:
        yield f"{_pair(each)}: {_strength(each, found.pairs)}"
        for cell in each.cells:
            one, other = cell.levels
            mean, of = measure(cell.mean), quantity(cell.trials, "trial")
            yield f"  {each.paths[0]} {one}, {each.paths[1]} {other}: mean {mean} ({of})"
    if not sure:
        strongest = found.interactions[0]
        yield (
            f"no pair clearly; the strongest is {_pair(strongest)}: "
            f"{_strength(strongest, found.pairs)}"
        )


def _pair(each: Interaction) -> str:
    return f"{each.paths[0]} × {each.paths[1]}"


def _strength(each: Interaction, pairs: int) -> str:
    return (
        f"{percent(each.effect)} of the variance of ranks beyond each alone, p "
        f"{_chance(each.p_value)} corrected for {quantity(pairs, 'pair')}"
    )


def _best(found: ExplanationView) -> Iterator[str]:
    if found.best is None:
        yield f"too few trials ({found.trials}) to set the best apart"
        return
    best = found.best
    limits = ", ".join(
        f"{objective.metric} {number(value)} or better"
        for objective, value in zip(found.objectives, best.worst, strict=True)
    )
    yield f"trials {_numbers(best.trials)} ({limits}) against {best.others} others:"
    yield from _traits(best.traits, "the best")


def _failures(found: ExplanationView) -> Iterator[str]:
    if not found.failures:
        yield f"none of {quantity(found.ended, 'trial')} that ended"
        return
    for group in found.failures:
        yield _failure(group, found.ended)
        if group.shared:
            who = "all" if len(group.trials) > 1 else "it"
            yield f"  {who} had {params(group.shared)}"
        if len(group.trials) > 1:
            for line in _traits(group.traits, "these"):
                yield f"  {line}"


def _failure(group: FailureGroup, ended: int) -> str:
    share = percent(len(group.trials) / max(ended, 1))
    text = f"{len(group.trials)} of {ended} ({share}), trials {_numbers(group.trials)}"
    if group.kind == "constraint":
        return f"constraint broken, {group.text}: {text}"
    return f"{group.kind}: {text}: {group.text}"


def _traits(traits: Sequence[Trait], who: str) -> Iterator[str]:
    clear = [each for each in traits if each.q_value <= _CLEAR]
    for each in clear:
        yield f"{_trait(each)} (p {_chance(each.p_value)}, corrected {_chance(each.q_value)})"
    rest = [each.path for each in traits if each.q_value > _CLEAR]
    if rest and not clear:
        yield f"no param tells {who} apart clearly; {_closest(traits[0])}"
    elif rest:
        yield f"no clear difference: {', '.join(rest)}"


def _closest(trait: Trait) -> str:
    return f"the closest is {_trait(trait)} (p {_chance(trait.p_value)})"


def _trait(each: Trait) -> str:
    here, there = f"{each.chosen_in} of {each.chosen}", f"{each.others_in} of {each.others} others"
    if each.low is not None and each.high is not None:
        alike = each.low == each.high
        span = setting(each.low) if alike else f"{setting(each.low)} to {setting(each.high)}"
        return f"{each.path} {span}: {here}, and {there}"
    return f"{each.path} = {setting(each.value)}: {here}, and {there}"


def _numbers(trials: Sequence[int]) -> str:
    shown = ", ".join(str(each) for each in trials[:_TRIALS])
    return shown if len(trials) <= _TRIALS else f"{shown}, …"


def _chance(value: float) -> str:
    if value < 0.001:
        return "< 0.001"
    return f"= {value:.3f}" if value < 0.1 else f"= {value:.2f}"
