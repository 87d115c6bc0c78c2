"""The options of `segtune evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Split = Annotated[Literal["train", "val", "test"], typer.Option("--split", help="Images to score.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        exists=True,
        dir_okay=False,
        help="A study or best.json whose data set is meant; else the model's own.",
        show_default=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change the data set: dataset.root=FOLDER, dataset.test=NAME; repeatable."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Report to write, one .html file.")]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="Write the numbers as JSON too.", show_default=False),
]
Mode = Annotated[
    Literal["whole", "sliding"],
    typer.Option(help="Whole images at training's size, or a window over the originals."),
]
Window = Annotated[
    tuple[int, int] | None,
    typer.Option(
        help="Height and width of the sliding window; else training's size.", show_default=False
    ),
]
Overlap = Annotated[
    float, typer.Option(min=0, max=0.95, help="Share of a window that the next one sees too.")
]
BlendOption = Annotated[
    Literal["gaussian", "linear"], typer.Option("--blend", help="Weights where windows overlap.")
]
Scales = Annotated[
    list[float] | None,
    typer.Option(
        "--scale", min=0.1, max=8, help="Average over this scale; repeatable.", show_default="1"
    ),
]
Flip = Annotated[bool, typer.Option("--flip", help="Average with the mirror image.")]
RobustnessFlag = Annotated[
    bool, typer.Option("--robustness", help="Score worse, mirrored and moved images too.")
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=100,
        help="Train the config again with so many other seeds: mean ± deviation.",
        show_default=False,
    ),
]
Shown = Annotated[
    int, typer.Option("--images", min=0, max=50, help="Worst and best images to draw.")
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1, max=4096, help="Images or windows at once; else training's.", show_default=False
    ),
]
