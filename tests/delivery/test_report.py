"""The report of an evaluation: one file, nothing of it trusted, and the same numbers as JSON."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.delivery.scenes import Known, coarse, mask, painted, part
from tuner.delivery.evaluation import figures, report
from tuner.delivery.evaluation.reasons import Reasons
from tuner.delivery.evaluation.results import (
    EvaluationResult,
    Repetition,
    Subject,
    summary,
    to_json,
)
from tuner.delivery.evaluation.robustness import disturb
from tuner.delivery.evaluation.scoring import Pass, score
from tuner.delivery.report.markup import Markup, element, joined
from tuner.training.ignore import IGNORE
from tuner.training.preview.sheet import visible

HOSTILE = "<script>alert(1)</script>\" onload='x'\x00&"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Pass:
    """A pass over five images by a model that is not always right."""
    masks = [mask(48, 64, seed) for seed in range(5)]
    return Pass(Known(coarse), part(tmp_path_factory.mktemp("scenes"), masks), at_once=2)


@pytest.fixture(scope="module")
def found(run: Pass) -> EvaluationResult:
    """Its evaluation, with everything in it."""
    scores = score(run)
    subject = Subject(
        model="known",
        split="val",
        images=5,
        classes=run.predictor.classes,
        size=run.predictor.size,
        inference="whole image at 24×32",
        data="f" * 64,
        device="cpu",
    )
    metrics = summary(scores, run.predictor.classes)
    again = tuple(
        Repetition(seed, {**metrics, "miou": miou}) for seed, miou in ((1, 0.4), (2, 0.6), (3, 0.8))
    )
    return EvaluationResult(subject, scores, disturb(run), again)


def page(run: Pass, found: EvaluationResult, count: int = 2) -> str:
    """The page of an evaluation."""
    worst, best = figures.extremes(run.part, found.scores.images, count)
    return report.page(found, figures.draw(run, worst), figures.draw(run, best))


class _Seen(HTMLParser):
    """What a browser would do with a page: its elements, and what they would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.tags.append(tag)
        self.fetched += [v or "" for k, v in attrs if k in {"src", "href", "data", "action"}]
        self.handlers += [k for k, _ in attrs if k.startswith("on")]


def test_the_page_asks_nothing_of_the_network(run: Pass, found: EvaluationResult) -> None:
    """No script, no handler, no address: figures are in it, and its policy allows no more."""
    seen = _Seen()
    text = page(run, found)
    seen.feed(text)
    assert "script" not in seen.tags
    assert not seen.handlers
    assert len(seen.fetched) == 4 * 4
    assert all(each.startswith("data:image/jpeg;base64,") for each in seen.fetched)
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    assert not re.search(r"https?://|@import|url\(", text)


def test_names_are_never_markup(tmp_path: Path, found: EvaluationResult) -> None:
    """Classes, files, models and notes come from others."""
    classes = (HOSTILE, f"{HOSTILE}2", "car")
    scene = part(tmp_path, [mask(seed=1), mask(seed=2)])
    names = tuple(f"{HOSTILE}{index}" for index in range(2))
    scene = replace(scene, decoded=replace(scene.decoded, names=names))
    run = Pass(Known(coarse, classes=classes), scene)
    subject = replace(found.subject, classes=classes, model=HOSTILE, notes=(HOSTILE,))
    evaluation = EvaluationResult(subject, score(run), found.robustness)
    text = page(run, evaluation)
    seen = _Seen()
    seen.feed(text)
    assert "script" not in seen.tags
    assert not seen.handlers
    assert "\x00" not in text
    assert "&lt;script&gt;" in text
    assert json.loads(to_json(evaluation))["subject"]["model"] == HOSTILE


def test_every_part_is_there(run: Pass, found: EvaluationResult) -> None:
    """And what was not measured is not: no empty panels."""
    text = page(run, found)
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == [
        "Trained again with other seeds",
        "Classes",
        "Confusion",
        "Calibration",
        "Largest mistakes",
        "Robustness",
        "Consistency",
        "mIoU by strength",
        "Worst images",
        "Best images",
    ]
    bare = page(run, EvaluationResult(found.subject, found.scores), count=0)
    assert not {"Robustness", "Worst images"} & set(re.findall(r"<h2>(.*?)</h2>", bare))


def test_a_class_that_is_nowhere_is_said(found: EvaluationResult) -> None:
    """Its panel is there, in words."""
    text = report.page(found, [], [], reasons=Reasons("bus", ()))
    assert "Why &#x27;bus&#x27;?" in text
    assert "No image shows the class, and of none it is predicted." in text


def test_many_classes_make_no_table(run: Pass, found: EvaluationResult) -> None:
    """A matrix of 40 classes cannot be read; the mistakes still can."""
    classes = tuple(f"c{k}" for k in range(40))
    matrix = tuple(tuple(int(i == j or j == 0) for j in range(40)) for i in range(40))
    nan = (math.nan,) * 40
    scores = replace(
        found.scores,
        confusion=matrix,
        boundaries=replace(found.scores.boundaries, f_score=nan, iou=nan),
    )
    evaluation = EvaluationResult(replace(found.subject, classes=classes), scores)
    text = report.page(evaluation, [], [])
    assert "40 classes are too many for a table" in text
    assert "Largest mistakes" in text


def test_the_json_says_the_same_as_the_page(run: Pass, found: EvaluationResult) -> None:
    """Numbers are whole there; what has no value is null."""
    document: dict[str, Any] = json.loads(to_json(found))
    assert document["metrics"]["miou"] == found.metrics["miou"]
    assert f"{document['metrics']['miou']:.4f}" in page(run, found)
    assert document["confusion"] == [list(row) for row in found.scores.confusion]
    assert document["calibration"]["ece"] == found.scores.calibration.ece
    assert [each["name"] for each in document["classes"]] == list(run.predictor.classes)
    assert len(document["robustness"]["corruptions"]) == 6
    hollow = replace(found.scores, confusion=((5, 0, 0), (0, 0, 0), (0, 0, 0)))
    assert json.loads(to_json(replace(found, scores=hollow)))["classes"][1]["iou"] is None


def test_a_spread_is_that_of_the_sample(found: EvaluationResult) -> None:
    """Over n - 1; one training has none."""
    (miou,) = [each for each in found.spreads if each.metric == "miou"]
    assert (miou.mean, miou.deviation) == pytest.approx((0.6, 0.2))
    assert replace(found, repetitions=found.repetitions[:1]).spreads == ()


def test_the_worst_and_the_best_are_others(run: Pass, found: EvaluationResult) -> None:
    """In order, and no image is both."""
    for count in range(7):
        worst, best = figures.extremes(run.part, found.scores.images, count)
        assert not {each.name for each in worst} & {each.name for each in best}
        assert len(worst) <= count
        scores = [each.miou for each in (*worst, *reversed(best))]
        assert scores == sorted(scores)


def test_frames_that_look_alike_are_shown_once(tmp_path: Path) -> None:
    """As long as there are others; else the next ones fill up."""
    still, other = mask(seed=1), mask(seed=9)
    scene = part(tmp_path, [still, still, still, other, still, still, still, still])
    scores = score(Pass(Known(coarse), scene)).images
    ranked = [replace(each, miou=place / 10) for place, each in enumerate(scores)]
    worst, _ = figures.extremes(scene, ranked, 2)
    assert [each.name for each in worst] == ["scene0", "scene3"]
    worst, _ = figures.extremes(scene, ranked, 3)
    assert [each.name for each in worst] == ["scene0", "scene1", "scene3"]


def test_an_error_map_shows_what_is_wrong() -> None:
    """Orange where label and prediction differ, nearly black where nothing counts, else grey."""
    label = np.array([[0, 1, IGNORE]], dtype=np.uint8)
    found = figures.error_map(visible(painted(label)), label, np.array([[0, 2, 2]], dtype=np.uint8))
    right, wrong, void = found[0].astype(int)
    assert np.ptp(right) == 0
    assert wrong[0] > wrong[1] > wrong[2]
    assert void.max() < 50


def test_only_markup_is_markup() -> None:
    """Text, attributes and numbers are escaped, once."""
    assert element("p", "<b>", title='"') == '<p title="&quot;">&lt;b&gt;</p>'
    assert joined("a&", Markup("<br>"), None, 1.5) == "a&amp;<br>1.5"
    assert element("meta", name="x", http_equiv=None) == '<meta name="x">'
    assert element("line", x1=1, class_="grid") == '<line x1="1" class="grid"/>'
