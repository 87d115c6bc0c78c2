"""The report of `segtune evaluate` in a browser: on a phone and a desk, in the light and dark."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.delivery.scenes import Known, coarse, mask, part
from tuner.delivery.evaluation import figures, report
from tuner.delivery.evaluation.results import EvaluationResult, Subject
from tuner.delivery.evaluation.robustness import disturb
from tuner.delivery.evaluation.scoring import Pass, score


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_fetches_nothing(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    """The page is as wide as the window, however long its names are; the console stays empty."""
    classes = ("a very long name of a class that goes on " * 3, "road", "car")
    run = Pass(Known(coarse, classes=classes), part(tmp_path, [mask(seed=1), mask(seed=2)]))
    subject = Subject("m" * 80, "val", 2, classes, (24, 32), "whole image", "f" * 64, "cpu")
    evaluation = EvaluationResult(subject, score(run), disturb(run))
    drawn = [
        figures.draw(run, some) for some in figures.extremes(run.part, evaluation.scores.images, 1)
    ]
    said: list[str] = []
    with browser.new_page(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    ) as page:
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: said.append(request.url[:40]))
        page.set_content(report.page(evaluation, *drawn))
        assert page.evaluate("document.documentElement.scrollWidth") == width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(14, 17, 22)") == (scheme == "dark")
        assert page.locator("img").evaluate_all("all => all.every(img => img.naturalWidth > 0)")
    assert [each for each in said if not each.startswith("data:image/jpeg")] == []
