"""`segtune evaluate`: what a model is worth on images that it has not seen, as one report."""

from pathlib import Path

import typer

from tuner.cli.evaluate import flags
from tuner.cli.models import AnyModelArgument, ChangesOption, DataOption, JsonOption, WeightsOption
from tuner.cli.options import DataRootsOption, DeviceOption, ServerOption, TokenOption, paths


def evaluate(  # noqa: PLR0913, PLR0917  # the options of a command
    model: AnyModelArgument,
    split: flags.SplitOption = "test",
    data: DataOption = None,
    changes: ChangesOption = None,
    out: flags.OutOption = Path("evaluation.html"),
    json: JsonOption = None,
    mode: flags.ModeOption = "whole",
    window: flags.WindowOption = None,
    overlap: flags.OverlapOption = 0.5,
    blend: flags.BlendOption = "gaussian",
    scales: flags.ScalesOption = None,
    flip: flags.FlipOption = False,
    robustness: flags.RobustnessOption = False,
    seeds: flags.SeedsOption = None,
    images: flags.ShownOption = 4,
    explain: flags.ExplainOption = None,
    batch: flags.BatchOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    data_root: DataRootsOption = None,
    server: ServerOption = None,
    token: TokenOption = None,
) -> None:
    """Score a model, and write a report."""
    from tuner.cli.evaluate import checks, work
    from tuner.cli.models import ModelSources
    from tuner.cli.outputs import check_writable
    from tuner.cli.train.command import machine

    inference = checks.inference(
        mode, window, tuple(scales or (1.0,)), overlap=overlap, blend=blend, flip=flip
    )
    checks.refuse_suffix(out)
    seeds_folder = out.with_name(f"{out.stem}-seeds")
    check_writable(out, *([json] if json else []), *([seeds_folder / "model.pt"] if seeds else []))
    settings, target = machine(device, paths(data_root))
    request = work.EvaluationRequest(
        model=model,
        sources=ModelSources(settings.cache_folder, server, token, weights),
        split=split,
        data=data,
        changes=tuple(changes or ()),
        inference=inference,
        settings=settings,
        device=target,
        batch=batch,
        seeds=seeds or 0,
        seeds_folder=seeds_folder,
        explain=explain,
    )
    found = work.evaluated(request, robustness=robustness)
    for line in work.described(found):
        typer.echo(line)
    for path, text in work.rendered(request, found, out, json, images):
        typer.echo(f"wrote {path} ({len(text.encode()) / 1e6:.1f} MB)")
