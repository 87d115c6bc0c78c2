"""The options of `segtune evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

SplitOption = Annotated[
    Literal["train", "val", "test"], typer.Option("--split", help="Images to score.")
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Report to write, one .html file.")]
ModeOption = Annotated[
    Literal["whole", "sliding"],
    typer.Option(help="Whole images at training's size, or a window over the originals."),
]
WindowOption = Annotated[
    tuple[int, int] | None,
    typer.Option(
        help="Height and width of the sliding window; else training's size.", show_default=False
    ),
]
OverlapOption = Annotated[
    float, typer.Option(min=0, max=0.95, help="Share of a window that the next one sees too.")
]
BlendOption = Annotated[
    Literal["gaussian", "linear"], typer.Option("--blend", help="Weights where windows overlap.")
]
ScalesOption = Annotated[
    list[float] | None,
    typer.Option(
        "--scale", min=0.1, max=8, help="Average over this scale; repeatable.", show_default="1"
    ),
]
FlipOption = Annotated[bool, typer.Option("--flip", help="Average with the mirror image.")]
RobustnessOption = Annotated[
    bool, typer.Option("--robustness", help="Score worse, mirrored and moved images too.")
]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=100,
        help="Train the config again with so many other seeds: mean ± deviation.",
        show_default=False,
    ),
]
ShownOption = Annotated[
    int, typer.Option("--images", min=0, max=50, help="Worst and best images to draw.")
]
ExplainOption = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="CLASS",
        help="Show what the answers for a class rest on, where they are worst.",
        show_default=False,
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=4096, help="Images or windows at once; else training's.", show_default=False
    ),
]
