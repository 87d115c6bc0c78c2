"""From the models of a study to an ensemble: scored, selected, and measured on a whole split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tuner.delivery import candidates as pixels
from tuner.delivery.ensemble import joined
from tuner.delivery.predictor import Predictor
from tuner.delivery.selection import held_out, select
from tuner.errors import InvalidInput, Problem, TrainingError
from tuner.spec.ensemble import HeldOut
from tuner.spec.metrics import compute, unknown_metric
from tuner.spec.study import Objective
from tuner.training.data.cache import DecodedSplit
from tuner.wording import quantity

Open = Callable[[], Predictor]


@dataclass(frozen=True, slots=True)
class EnsembleResult:
    """Positions of the members with their weights, the best single one, and what both reach.

    `value` and `single_value` are of the whole split; `pixels` is how many of its labelled pixels
    were looked at to select.
    """

    weights: dict[int, float]
    value: float
    single: int
    single_value: float
    held_out: HeldOut | None
    pixels: int


def check_objective(objective: Objective, classes: Sequence[str]) -> None:
    """Raise InvalidInput for a metric that no confusion matrix gives."""
    metric = objective.metric
    wrong = unknown_metric(metric, classes)
    flawless = [[int(row == column) for column in classes] for row in classes]
    if wrong or compute(metric, flawless, classes) is None:
        reason = wrong or f"'{metric}' is measured of one network, and not of predictions"
        message = f"{reason}; choose by a metric of predictions: miou, iou.worst, dice, …"
        raise InvalidInput([Problem(("--objective",), message)])


def build(
    models: Sequence[Open],
    split: DecodedSplit,
    objective: Objective,
    classes: Sequence[str],
    *,
    memory: int = pixels.MEMORY,
    done: Callable[[], None] = lambda: None,
) -> EnsembleResult:
    """Select members for the best mean probability on a split; the single best where nothing helps.

    Args:
        models: opens each candidate, the best by the study's ranking first.
        memory: bytes that the probabilities of all candidates may take.
        done: is told of every image that a candidate has scored.

    Raises:
        InvalidInput: the metric is not one of predictions.
        Diverged, TrainingError: a candidate cannot be used, or does not fit the others or the data.
    """
    check_objective(objective, classes)

    def checked(number: int) -> Predictor:
        model = models[number]()
        _check_data(model, split, classes)
        return model

    openers = [partial(checked, number) for number in range(len(models))]
    found = pixels.gather(openers, split, memory=memory, done=lambda model, image: done())
    chosen = select(found, objective, classes)
    alone = {0, *select(found, objective, classes, most=1).picks}

    def exact(weights: dict[int, float]) -> float:
        members = [models[index]() for index in weights]
        counts = pixels.score(joined(members, list(weights.values())), split)
        value = compute(objective.metric, counts, classes)
        return float("nan") if value is None else value

    singles = {index: exact({index: 1.0}) for index in sorted(alone)}
    single = min(singles, key=lambda index: (_key(objective, singles[index]), index))
    weights, value = chosen.weights, exact(chosen.weights)
    if not _key(objective, value) < _key(objective, singles[single]):
        weights, value = {single: 1.0}, singles[single]
    halves = held_out(found, objective, classes) if len(models) > 1 else None
    return EnsembleResult(
        weights,
        value,
        single,
        singles[single],
        None if halves is None else HeldOut(value=halves[0], single=halves[1]),
        len(found.labels),
    )


def _key(objective: Objective, value: float) -> float:
    return objective.key(value) if value == value else float("inf")  # NaN


def _check_data(model: Predictor, split: DecodedSplit, classes: Sequence[str]) -> None:
    if model.channels != split.channels:
        raise TrainingError(
            f"{model.name} takes images of {quantity(model.channels, 'channel')}, those of the "
            f"validation split have {split.channels}"
        )
    if tuple(model.classes) != tuple(classes):
        raise TrainingError(
            f"{model.name} has {len(model.classes)} classes ({', '.join(model.classes)}), the "
            f"validation split {len(classes)} ({', '.join(classes)})"
        )
