"""What a study may cost, before anything is trained."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tuner.optuna_encoding import distribution, from_optuna
from tuner.search.rules import Rules
from tuner.search.units import from_unit
from tuner.spec.space import Params
from tuner.spec.study import EPOCHS, StudySpec

_SAMPLE = 1000  # draws whose mean is taken for that of a study


@dataclass(frozen=True, slots=True)
class Outline:
    """The search in numbers: steps in epochs, `worst_epochs` if nothing is pruned.

    `epochs` are those of one full training, of the longest where they are searched.

    `stages` is how many trials are expected to be trained up to each rung, the last being the
    full budget; it is empty, and `expected_epochs` None, where the pruner's rule does not say.
    Confirmation is counted in both sums, and alone in `confirm_epochs`.
    """

    sampler: str
    pruner: str
    trials: int
    epochs: int
    rungs: tuple[int, ...]
    stages: Mapping[int, float]
    expected_epochs: float | None
    worst_epochs: int
    confirm_epochs: int


def plan(rules: Rules) -> Outline:
    """The plan of a study."""
    spec, trials, epochs = rules.spec, rules.trial_limit, rules.spec.most_epochs
    confirm = spec.search.confirm
    again = min(confirm.top, trials) * confirm.seeds * epochs if confirm else 0
    reached = stages(rules, trials)
    # Trial 0 is the base recipe, whatever the others draw.
    whole, each = spec.base.training.epochs, spec.most_drawn_epochs
    if rules.is_staged:
        whole = each = sum(rules.rungs, epochs)
    expected = (
        _epochs(reached, restarts=rules.is_staged) if reached else _drawn_epochs(rules, trials)
    )
    return Outline(
        sampler=rules.sampler_name,
        pruner=rules.pruner_name,
        trials=trials,
        epochs=epochs,
        rungs=rules.rungs,
        stages=reached,
        expected_epochs=None if expected is None else expected + again,
        worst_epochs=whole + (trials - 1) * each + again,
        confirm_epochs=again,
    )


def stages(rules: Rules, trials: int) -> Mapping[int, float]:
    """Trials expected to be trained up to each rung, as far as the pruner's rule says it.

    Empty where trials differ in their epochs.
    """
    if rules.spec.searches_epochs:
        return {}
    return rules.pruner.survivors(trials, (*rules.rungs, rules.spec.base.training.epochs))


def _drawn_epochs(rules: Rules, trials: int) -> float | None:
    """Epochs of the base recipe and of random draws, where those are searched and all are trained.

    Half of the range is what draws have on average, unless conditions or a scale make it other.
    """
    spec = rules.spec
    if not spec.searches_epochs or rules.rungs:
        return None
    rng, base = random.Random(0), spec.base.training.epochs
    drawn = [_draw(spec, rng).get(EPOCHS, base) for _ in range(_SAMPLE)]
    return float(base + (trials - 1) * sum(drawn) / len(drawn))


def _draw(spec: StudySpec, rng: random.Random) -> Params:
    params: Params = {}
    for path in spec.space.ordered:
        if active := spec.space.active(path, params):
            value = from_unit(distribution(active[1]), rng.random())
            params[path] = from_optuna(active[1], value)
    return params


def _epochs(reached: Mapping[int, float], *, restarts: bool) -> float:
    """Epochs of all trials up to their last rungs; with `restarts`, every rung starts from zero."""
    if restarts:
        return sum(step * trials for step, trials in reached.items())
    total, before = 0.0, 0
    for step, trials in sorted(reached.items()):
        total += trials * (step - before)
        before = step
    return total


def device_hours(epochs: float, epoch_seconds: float, limit: float | None) -> float:
    """Hours that so many epochs take on one device, as far as the study's limit allows them."""
    hours = epochs * epoch_seconds / 3600
    return hours if limit is None else min(hours, limit)


def wall_hours(spec: StudySpec, hours: float, epoch_seconds: float, workers: int) -> float:
    """Hours on so many workers: no less than one full training, and one more to be confirmed."""
    at_once = min(workers, spec.search.parallel)
    in_a_row = 2 if spec.search.confirm else 1
    floor = min(hours, in_a_row * spec.most_epochs * epoch_seconds / 3600)
    found = max(hours / at_once, floor)
    limit = spec.search.max_wall_hours
    return found if limit is None else min(found, limit)
