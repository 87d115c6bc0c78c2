"""What is wrong with the options, said before anything is opened."""

from pathlib import Path
from typing import Literal

from tuner.delivery.evaluation.inference import Inference
from tuner.delivery.evaluation.windows import Blend
from tuner.errors import InvalidInput, Problem

_LEAST = 16


def inference(
    mode: Literal["whole", "sliding"],
    window: tuple[int, int] | None,
    scales: tuple[float, ...],
    *,
    overlap: float,
    blend: Blend,
    flip: bool,
) -> Inference:
    """The views that the options ask for. Raises InvalidInput."""
    if window is not None and mode == "whole":
        raise _refused("--window", "whole images have no window; add --mode sliding")
    if window is not None and min(window) < _LEAST:
        sides = "×".join(map(str, window))
        raise _refused("--window", f"height and width are {_LEAST} or more, not {sides}")
    if len(set(scales)) < len(scales):
        raise _refused("--scale", "a scale is given twice; give each once")
    return Inference(mode, window, overlap, blend, scales, flip)


def refuse_suffix(out: Path) -> None:
    """Raise InvalidInput where the report would not be recognised as a page."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise _refused("--out", f"the report is a page; write .html, not '{out.name}'")


def dataset_changes(changes: tuple[str, ...]) -> tuple[str, ...]:
    """The changes, of the data set alone. Raises InvalidInput."""
    for change in changes:
        if not change.startswith("dataset."):
            raise _refused(
                "--set",
                f"only the data set can be changed, as in dataset.test=NAME, not '{change}'",
            )
    return changes


def _refused(option: str, message: str) -> InvalidInput:
    return InvalidInput([Problem((option,), message)])
