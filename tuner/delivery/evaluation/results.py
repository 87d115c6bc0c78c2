"""What an evaluation found, as an object and as JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import mean, stdev
from typing import Any

from tuner.delivery.evaluation.robustness import Robustness
from tuner.delivery.evaluation.scoring import ImageScore, Scores
from tuner.spec import metrics

FORMAT = 1  # of the JSON document


@dataclass(frozen=True, slots=True)
class Subject:
    """What was evaluated on what, and how.

    `data` is the fingerprint of images and labels, `weights` the sha256 of the model's file.
    """

    model: str
    split: str
    images: int
    classes: tuple[str, ...]
    size: tuple[int, int]
    inference: str
    data: str
    device: str
    weights: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class; what has no value, because neither labels nor predictions show it, is NaN."""

    name: str
    iou: float
    dice: float
    precision: float
    recall: float
    boundary_f_score: float
    boundary_iou: float
    labelled_pixels: int
    predicted_pixels: int


@dataclass(frozen=True, slots=True)
class Repetition:
    """The config trained again with another seed, and scored in the same way."""

    seed: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation of one metric over trainings."""

    metric: str
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Everything that one report says."""

    subject: Subject
    scores: Scores
    robustness: Robustness | None = None
    repetitions: tuple[Repetition, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric of the whole part, by name."""
        return summary(self.scores, self.subject.classes)

    @property
    def classes(self) -> tuple[ClassScores, ...]:
        """Scores by class, in order."""
        matrix, names = self.scores.confusion, self.subject.classes
        found = metrics.by_class(matrix)
        predicted = [sum(column) for column in zip(*matrix, strict=True)]
        return tuple(
            ClassScores(
                name=name,
                iou=found["iou"].get(k, math.nan),
                dice=found["dice"].get(k, math.nan),
                precision=found["precision"].get(k, math.nan),
                recall=found["recall"].get(k, math.nan),
                boundary_f_score=self.scores.boundaries.f_score[k],
                boundary_iou=self.scores.boundaries.iou[k],
                labelled_pixels=sum(matrix[k]),
                predicted_pixels=predicted[k],
            )
            for k, name in enumerate(names)
        )

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """Mean and deviation over the repetitions of every metric that all of them have."""
        if len(self.repetitions) < 2:
            return ()
        first, *others = (each.metrics for each in self.repetitions)
        names = [name for name in first if all(name in each for each in others)]
        values = {name: [each.metrics[name] for each in self.repetitions] for name in names}
        return tuple(Spread(name, mean(each), stdev(each)) for name, each in values.items())


def summary(scores: Scores, classes: tuple[str, ...]) -> dict[str, float]:
    """The metrics of a confusion matrix, and those that it does not say."""
    more = {
        "boundary_f_score": scores.boundaries.mean_f_score,
        "boundary_iou": scores.boundaries.mean_iou,
        "ece": scores.calibration.ece,
        "mean_confidence": scores.calibration.mean_confidence,
    }
    known = {name: value for name, value in more.items() if not math.isnan(value)}
    return {**metrics.derive(scores.confusion, classes), **known}


def to_json(found: EvaluationResult) -> str:
    """The evaluation as a JSON document; what has no value is null."""
    document = {
        "format": FORMAT,
        "subject": asdict(found.subject),
        "metrics": found.metrics,
        "classes": [asdict(each) for each in found.classes],
        "confusion": found.scores.confusion,
        "calibration": {"ece": found.scores.calibration.ece, **asdict(found.scores.calibration)},
        "images": [_image(each) for each in found.scores.images],
        "robustness": asdict(found.robustness) if found.robustness else None,
        "seeds": [asdict(each) for each in found.repetitions],
        "spread": [asdict(each) for each in found.spreads],
    }
    return json.dumps(_finite(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _image(score: ImageScore) -> dict[str, Any]:
    """Without its classes, which are many times as many numbers."""
    return {"name": score.name, "miou": score.miou, "pixel_accuracy": score.pixel_accuracy}


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
