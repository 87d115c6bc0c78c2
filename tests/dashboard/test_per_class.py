"""Numbers of each class from a confusion matrix, and what differs from trial 0."""

from api.dashboard.facts import differences, tone
from api.dashboard.per_class import class_scores
from tuner.spec.metrics import compute
from tuner.spec.study import Objective

CONFUSION = ((8, 2, 0), (1, 6, 3), (0, 0, 0))


def test_scores_come_from_the_confusion_matrix() -> None:
    """IoU, precision and recall as the metric's definition has them, best first."""
    road, car, _ = class_scores(("road", "car", "sign"), {}, CONFUSION)
    assert (road.name, road.iou, road.precision, road.recall) == ("road", 8 / 11, 8 / 9, 0.8)
    assert (car.name, car.share, car.mistaken) == ("car", 0.5, ("sign", 0.3))


def test_a_class_without_pixels_stands_last_without_numbers() -> None:
    """A class absent from labels is shown, not made up."""
    last = class_scores(("road", "car", "sign"), {}, CONFUSION)[-1]
    assert (last.name, last.iou, last.recall, last.mistaken) == ("sign", 0.0, None, None)


def test_the_table_says_what_the_metric_says() -> None:
    """A class that occurs and is never predicted has precision 0, in the table as in the mean."""
    classes, confusion = ("road", "car", "sign"), ((8, 2, 0), (1, 6, 0), (3, 1, 0))
    for score in class_scores(classes, {}, confusion):
        for measure in ("iou", "precision", "recall"):
            expected = compute(f"{measure}.{score.name}", confusion, classes)
            assert getattr(score, measure) == expected
    assert class_scores(classes, {}, confusion)[-1].precision == 0


def test_scores_fall_back_to_reported_metrics() -> None:
    """Without a confusion matrix the reported IoU are what is known."""
    scores = class_scores(("road", "car"), {"iou.car": 0.4}, None)
    assert [(score.name, score.iou) for score in scores] == [("car", 0.4), ("road", None)]


def test_differences_cover_both_sides() -> None:
    """A path that only one of two configs has is a difference; true is not 1."""
    found = differences({"a": 1, "b": True}, {"a": 1, "b": 1, "c": 2})
    assert [(item.path, item.changed) for item in found] == [("a", False), ("b", True), ("c", True)]


def test_tone_follows_the_direction() -> None:
    """Less is good where the objective says so."""
    loss = Objective(metric="train_loss", direction="minimize")
    assert (tone(loss, -0.1), tone(loss, 0.1), tone(loss, None)) == ("good", "bad", "")
