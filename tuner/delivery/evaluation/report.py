"""An evaluation as one HTML page."""

import math
from collections.abc import Sequence

from tuner.configs.colours import Colour, colours
from tuner.delivery.evaluation import charts
from tuner.delivery.evaluation.boundaries import DEPTH, TOLERANCE
from tuner.delivery.evaluation.calibration import BINS
from tuner.delivery.evaluation.corruption import STRENGTHS
from tuner.delivery.evaluation.figures import Figures
from tuner.delivery.evaluation.reasons import Reasons
from tuner.delivery.evaluation.results import ClassScores, EvaluationResult
from tuner.delivery.evaluation.robustness import Robustness
from tuner.delivery.report.markup import Markup, element, joined
from tuner.delivery.report.page import document, facts, notes, panel, scrolling, table
from tuner.spec.messages import ConfusionMatrix
from tuner.wording import quantity

_MOST_CELLS = 30  # classes of which a matrix can be read
_MISTAKES = 10
_DARK = 0.55
_SPLITS = {"train": "training", "val": "validation", "test": "test"}
_CAPTIONS = ("image", "label", "prediction", "errors")


def page(
    found: EvaluationResult,
    worst: Sequence[Figures],
    best: Sequence[Figures],
    *,
    reasons: Reasons | None = None,
) -> str:
    """The report as an HTML document that needs nothing beside itself."""
    parts: list[Markup | None] = [
        _heading(found),
        notes(found.subject.notes),
        _figures(found),
        _seeds(found),
        _classes(found),
        element("div", _matrix(found), _calibration(found), class_="pair"),
        _mistakes(found),
        _robustness(found),
        _images("Worst images", worst, found),
        _images("Best images", best, found),
        _reasons(reasons) if reasons is not None else None,
        _footer(found),
    ]
    return document(f"{found.subject.model}: evaluation", *(each for each in parts if each))


def _heading(found: EvaluationResult) -> Markup:
    subject = found.subject
    return element(
        "header",
        element("h1", subject.model),
        element(
            "p",
            f"{quantity(subject.images, f'{_SPLITS[subject.split]} image')} · "
            f"{quantity(len(subject.classes), 'class')} · {subject.inference}",
        ),
    )


def _figures(found: EvaluationResult) -> Markup:
    values, worst = found.metrics, min(found.classes, key=lambda each: _or(each.iou, 2.0))
    return facts(
        [
            ("mIoU", _number(values["miou"], 4), f"lowest: {worst.name}, {_number(worst.iou)}"),
            ("Pixel accuracy", _number(values["pixel_accuracy"], 4), ""),
            ("Dice", _number(values["dice"], 4), "mean over classes"),
            (
                "Boundary F-score",
                _number(values.get("boundary_f_score", math.nan), 4),
                f"within {TOLERANCE:.2%} of the diagonal",
            ),
            (
                "Boundary IoU",
                _number(values.get("boundary_iou", math.nan), 4),
                f"within {DEPTH:.0%} of the diagonal",
            ),
            ("ECE", _number(values.get("ece", math.nan), 4), _sureness(values)),
        ]
    )


def _sureness(values: dict[str, float]) -> str:
    gap = values.get("mean_confidence", math.nan) - values["pixel_accuracy"]
    if math.isnan(gap):
        return ""
    kind = "overconfident" if gap > 0 else "underconfident"
    return f"{kind} by {abs(gap):.3f} on average"


def _classes(found: EvaluationResult) -> Markup:
    total = max(sum(each.labelled_pixels for each in found.classes), 1)
    shades = colours(len(found.classes))
    rows = [
        _class_row(each, shade, each.labelled_pixels / total)
        for each, shade in zip(found.classes, shades, strict=True)
    ]
    columns = ("Class", "IoU", "Dice", "Precision", "Recall", "Boundary F", "Boundary IoU", "Share")
    return panel(
        "Classes",
        table(columns, rows, label="Scores by class"),
        note="Share is that of the labelled pixels; a dash is a value that is not defined.",
    )


def _class_row(each: ClassScores, shade: Colour, share: float) -> Sequence[object]:
    bar = element("span", element("i", style=f"width:{_or(each.iou, 0) * 100:.1f}%"), class_="bar")
    return (
        joined(_swatch(shade), _cut(each.name)),
        joined(_number(each.iou), bar),
        *(_number(value) for value in (each.dice, each.precision, each.recall)),
        _number(each.boundary_f_score),
        _number(each.boundary_iou),
        f"{share:.2%}",
    )


def _matrix(found: EvaluationResult) -> Markup:
    """Shares of each label's pixels, by what they were taken for."""
    names, matrix = found.subject.classes, found.scores.confusion
    if len(names) > _MOST_CELLS:
        text = f"{len(names)} classes are too many for a table; the JSON file has the counts."
        return panel("Confusion", element("p", text, class_="muted"))
    head = element(
        "tr",
        element("td"),
        *(element("th", element("span", name, title=name), scope="col") for name in names),
    )
    rows = [
        element(
            "tr",
            element("th", _cut(name), scope="row"),
            *(_cell(matrix, names, row, column) for column in range(len(names))),
        )
        for row, name in enumerate(names)
    ]
    whole = element("table", element("thead", head), element("tbody", *rows), class_="heat")
    return panel(
        "Confusion",
        scrolling(whole, label="Confusion matrix"),
        note="Rows are labels, columns predictions; per cent of the label's pixels.",
    )


def _cell(matrix: ConfusionMatrix, names: Sequence[str], row: int, column: int) -> Markup:
    total = sum(matrix[row])
    share = matrix[row][column] / total if total else 0.0
    tone = "--heat" if row == column else "--wrong"
    return element(
        "td",
        f"{share * 100:.0f}" if share >= 0.005 else "",
        class_="dark" if share > _DARK else None,
        style=f"--share:{share * 100:.1f}%;--tone:var({tone})",
        title=f"{names[row]} taken for {names[column]}: {matrix[row][column]:,} pixels",
    )


def _mistakes(found: EvaluationResult) -> Markup | None:
    names, matrix = found.subject.classes, found.scores.confusion
    total = max(sum(map(sum, matrix)), 1)
    pairs = [
        (matrix[row][column], row, column)
        for row in range(len(names))
        for column in range(len(names))
        if row != column and matrix[row][column]
    ]
    if not pairs:
        return None
    rows = [
        (
            _cut(names[row]),
            _cut(names[column]),
            f"{count:,}",
            f"{count / total:.2%}",
            f"{count / sum(matrix[row]):.1%}",
        )
        for count, row, column in sorted(pairs, key=lambda each: (-each[0], *each[1:]))[:_MISTAKES]
    ]
    columns = ("Label", "Taken for", "Pixels", "Of all pixels", "Of the label")
    return panel("Largest mistakes", table(columns, rows, label="Largest mistakes", texts=2))


def _calibration(found: EvaluationResult) -> Markup:
    return panel(
        "Calibration",
        charts.reliability(found.scores.calibration),
        note=f"Accuracy (filled) and mean confidence (line) in {BINS} bins of confidence, above "
        "the bins' shares of the pixels. A line above the filling is overconfidence.",
    )


def _robustness(found: EvaluationResult) -> Markup | None:
    if found.robustness is None:
        return None
    clean = found.metrics["miou"]
    rows = [(each.change, f"{each.share:.2%}") for each in found.robustness.consistency]
    consistency = panel(
        "Consistency",
        table(("Image", "Kept"), rows, label="Consistency"),
        note="Pixels that keep their class when the image is mirrored or moved.",
    )
    chart = panel(
        "mIoU by strength",
        charts.under_strain(found.robustness, clean),
        note="Strength 0 is the image as it is.",
    )
    tables = element("div", _strain(found.robustness, clean), consistency, class_="column")
    return element("div", tables, chart, class_="pair")


def _strain(found: Robustness, clean: float) -> Markup:
    def row(name: str, values: Sequence[float], mean: float) -> Sequence[object]:
        kept = f"{mean / clean:.0%}" if clean else "–"
        return (name, *(_number(value) for value in values), _number(mean), kept)

    rows = [row(each.kind, each.miou, each.mean_miou) for each in found.corruptions]
    count = len(found.corruptions)
    by_strength = [sum(each.miou[k] for each in found.corruptions) / count for k in range(5)]
    rows.append(row("mean", by_strength, found.mean_miou))
    columns = ("mIoU under", *(str(strength) for strength in STRENGTHS), "Mean", "Kept")
    return panel(
        "Robustness",
        table(columns, rows, label="mIoU of worse images"),
        note=f"Five strengths after Hendrycks and Dietterich 2019; {_number(clean)} on the images "
        "as they are.",
    )


def _seeds(found: EvaluationResult) -> Markup | None:
    if not found.repetitions:
        return None
    shown = ("miou", "pixel_accuracy", "dice", "boundary_f_score", "boundary_iou", "ece")
    rows: list[Sequence[object]] = [
        (f"seed {each.seed}", *(_number(each.metrics.get(name, math.nan), 4) for name in shown))
        for each in found.repetitions
    ]
    spreads = {each.metric: each for each in found.spreads}
    if spreads:
        for name, what in (("mean", "mean"), ("standard deviation", "deviation")):
            values = [getattr(spreads[each], what) if each in spreads else None for each in shown]
            rows.append((name, *("–" if value is None else f"{value:.4f}" for value in values)))
    columns = ("Training", "mIoU", "Accuracy", "Dice", "Boundary F", "Boundary IoU", "ECE")
    return panel(
        "Trained again with other seeds",
        table(columns, rows, label="Scores by seed"),
        note="The deviation is that of the sample, over n - 1.",
    )


def _images(title: str, shown: Sequence[Figures], found: EvaluationResult) -> Markup | None:
    if not shown:
        return None
    figures = [_figure(each) for each in shown]
    names = zip(found.subject.classes, colours(len(found.subject.classes)), strict=True)
    legend = element(
        "div",
        *(element("span", _swatch(shade), name) for name, shade in names),
        class_="legend",
    )
    return panel(
        title,
        element("div", *figures, class_="images"),
        legend,
        note="By mean IoU over the classes that the image's label or prediction shows. Errors are "
        "orange, ignored pixels nearly black.",
    )


def _figure(each: Figures) -> Markup:
    uris = (each.photo, each.label, each.predicted, each.errors)
    said = f"mIoU {each.score.miou:.3f}, pixel accuracy {each.score.pixel_accuracy:.3f}"
    return _row(each.score.name, said, list(zip(_CAPTIONS, uris, strict=True)))


def _reasons(found: Reasons) -> Markup:
    name = found.class_name
    if not found.images:
        said = element("p", "No image shows the class, and of none it is predicted.")
        return panel(f"Why '{name}'?", said)
    rows = [
        _row(each.name, "; ".join((f"IoU {each.iou:.3f}", *each.lines)), each.figures)
        for each in found.images
    ]
    return panel(
        f"Why '{name}'?",
        element("div", *rows, class_="images"),
        note=f"The images with the lowest IoU of '{name}', in the size of training. A white line "
        "is round the pixels whose mean logit is explained; red speaks for the class, blue "
        "against it. It shows what the network reacts to, not whether that is right.",
    )


def _row(name: str, said: str, shown: Sequence[tuple[str, str]]) -> Markup:
    """An image's figures side by side, each with its caption."""
    return element(
        "figure",
        element("figcaption", element("h3", name), element("span", said, class_="muted")),
        *(
            element(
                "div",
                element("img", src=uri, alt=f"{caption} of {name}"),
                element("span", caption, class_="what"),
            )
            for caption, uri in shown
        ),
    )


def _footer(found: EvaluationResult) -> Markup:
    subject = found.subject
    weights = {"weights": subject.weights[:12]} if subject.weights else {}
    known = {"data": subject.data[:12], **weights, "device": subject.device, **subject.versions}
    return element(
        "footer",
        element("p", " · ".join(f"{name} {value}" for name, value in known.items())),
        element(
            "p",
            "IoU, Dice, precision and recall derive from one confusion matrix over all images. "
            "Boundary F-score: Csurka et al. 2013; boundary IoU: Cheng et al. 2021; ECE: Guo et "
            "al. 2017. Ignored pixels count nowhere.",
        ),
    )


def _swatch(shade: Colour) -> Markup:
    return element("span", class_="swatch", style=f"background:rgb{shade}")


def _cut(name: str) -> Markup:
    return element("span", name, class_="cut", title=name)


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
