"""What is wrong with the options, said before anything is opened."""

from pathlib import Path
from typing import Literal

from tuner.delivery.evaluation.inference import Inference
from tuner.delivery.evaluation.windows import Blend
from tuner.delivery.file_model import FileModel
from tuner.delivery.predictor import Predictor
from tuner.delivery.trained import TrainedModel
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


def refuse_other_forms(predictor: Predictor, model: str, *, seeds: int) -> None:
    """Raise InvalidInput where a model that is not in a `model.pt` cannot do what is asked for."""
    if isinstance(predictor, FileModel) and predictor.gives_labels:
        message = f"{model} gives the class of each pixel and no scores; export it with --logits"
        raise InvalidInput([Problem((), message)])
    if seeds and not isinstance(predictor, TrainedModel):
        kind = "an exported file" if isinstance(predictor, FileModel) else "an ensemble"
        raise _refused(
            "--seeds",
            f"{model} is {kind}, and not what training a config again would give; name a "
            "model.pt, a best.json or a study",
        )


def _refused(option: str, message: str) -> InvalidInput:
    return InvalidInput([Problem((option,), message)])
