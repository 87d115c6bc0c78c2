"""The model card of a trained model: data, recipe, results, limits and licence, as Markdown.

After Mitchell et al. 2019. It says what is known, and says so where something is not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner.delivery.licence import licence
from tuner.delivery.trained import TrainedModel
from tuner.spec.config import Section, TrialConfig
from tuner.spec.metrics import LOSSES, MEASURED, SUMMARIES
from tuner.spec.views import Best, ConfirmedLeader
from tuner.wording import quantity

_PER_CLASS = "iou."
_SETTING = re.compile(r"([\\`<>|&])")  # names of settings keep their underscores
_ACTIVE = re.compile(r"([\\`*_\[\]<>|#~$&])")  # what Markdown and HTML take for markup


def card(trained: TrainedModel, best: Best | None) -> str:
    """The card of a model; `best` is the result that it belongs to, if there is one."""
    config = trained.config
    provenance: Mapping[str, Any] = best.provenance if best is not None else {}
    name = f"{config.model.decoder} on {config.model.encoder}"
    parts = [
        f"# {name}: {len(trained.classes)} classes",
        _summary(trained, best),
        "## Data\n\n" + "\n".join(_data(config, trained.channels, provenance)),
        "## Recipe\n\n" + _recipe(config),
        "## Results\n\n" + "\n".join(_results(best)),
        "## Made with\n\n" + "\n".join(_made_with(trained, provenance)),
        "## Limits\n\n" + "\n".join(_limits(trained, best)),
        f"## Licence\n\nOf the weights: {licence(config, provenance)}. That of the data set is not "
        "known to segtune, and may bind what is made from it.",
        "## How to run it\n\n" + _usage(),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(trained: TrainedModel, best: Best | None) -> str:
    height, width = trained.size
    origin = (
        f"Trial {best.trial} of the study {_plain(best.study)}."
        if best is not None
        else "From a model file alone: results and origin are not known."
    )
    return (
        f"Semantic segmentation of images of {quantity(trained.channels, 'channel')} at "
        f"{height}×{width} (height × width). {_numbers(trained):,} parameters. "
        f"{origin}"
    )


def _numbers(trained: TrainedModel) -> int:
    """All parameters; those of an opened model no longer learn."""
    return sum(each.numel() for each in trained.network.parameters())


def _data(config: TrialConfig, channels: int, provenance: Mapping[str, Any]) -> Iterator[str]:
    dataset = config.dataset
    yield f"- format: {dataset.format}"
    classes = ", ".join(map(_plain, dataset.classes))
    yield f"- classes: {classes}; label {dataset.ignore_index} is ignored"
    height, width = dataset.size
    yield f"- images: {quantity(channels, 'channel')}, resized to {height}×{width}"
    yield f"- fingerprint: {_plain(provenance.get('data') or 'not known')}"


def _recipe(config: TrialConfig) -> str:
    rows = [
        f"| {section} | {_settings(getattr(config, section))} |"
        for section in ("model", "optimizer", "schedule", "loss", "augment", "training")
    ]
    return "\n".join(["| section | values |", "|---|---|", *rows, "", f"Seed {config.seed}."])


def _settings(section: Section) -> str:
    given = section.model_dump(mode="json")
    shown = (f"{key} {value}" for key, value in given.items() if value is not None)
    return _SETTING.sub(r"\\\1", " ".join(", ".join(shown).split()))


def _results(best: Best | None) -> Iterator[str]:
    if best is None:
        yield "Not known: name the best.json that the model belongs to."
        return
    classes = _by_class(best)
    scores = {*SUMMARIES, *LOSSES, *MEASURED}
    whole = {key: value for key, value in best.metrics.items() if key in scores}
    yield f"On the validation split, which the search has seen and chosen by{_epoch(best)}:"
    yield ""
    yield from _table(("metric", "value"), whole)
    if classes:
        yield ""
        yield from _table(("class", "IoU"), classes)
    yield ""
    yield _confirmed(best)


def _epoch(best: Best) -> str:
    """Which epoch the model is of, where that was chosen on the same images; else nothing."""
    by, provenance = best.config.best_by, best.provenance
    if by is None:
        return ""
    chosen = f"epoch {provenance.get('epoch', '?')} of {provenance.get('epochs', '?')}"
    return f", at {_plain(chosen)}, the best by {_plain(by.metric)}"


def _by_class(best: Best) -> dict[str, float]:
    """The IoU of each class that has one."""
    keys = {name: f"{_PER_CLASS}{name}" for name in best.config.dataset.classes}
    found = best.metrics
    return {name: found[key] for name, key in keys.items() if key in found and key not in SUMMARIES}


def _plain(text: object) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _ACTIVE.sub(r"\\\1", " ".join(str(text).split()))


def _confirmed(best: Best) -> str:
    leaders: Sequence[ConfirmedLeader] = best.confirmation.leaders if best.confirmation else ()
    own = next((each for each in leaders if each.trial == best.trial), None)
    if own is None or own.mean is None:
        return (
            "Not confirmed with fresh seeds: one training, chosen as the best of its study, and so "
            "likely to be too good."
        )
    spread = f" ± {own.spread:.4f}" if own.spread is not None else ""
    return (
        f"Trained again with {len(own.values)} fresh seeds: {own.mean:.4f}{spread} (mean and "
        "standard deviation of one training)."
    )


def _table(heads: tuple[str, str], rows: Mapping[str, float]) -> Iterator[str]:
    yield f"| {heads[0]} | {heads[1]} |"
    yield "|---|---:|"
    for key, value in rows.items():
        yield f"| {key if key in SUMMARIES else _plain(key)} | {value:.4g} |"


def _made_with(trained: TrainedModel, provenance: Mapping[str, Any]) -> Iterator[str]:
    versions = provenance.get("versions")
    if isinstance(versions, Mapping):
        yield "- versions: " + ", ".join(
            f"{_plain(key)} {_plain(value)}" for key, value in versions.items()
        )
    device = provenance.get("device_name") or provenance.get("device")
    yield f"- hardware: {_plain(device or 'not known')}"
    if isinstance(seconds := provenance.get("seconds"), int | float):
        yield f"- training time: {seconds / 60:.1f} minutes"
    yield f"- file: SHA-256 {trained.sha256}"


def _limits(trained: TrainedModel, best: Best | None) -> Iterator[str]:
    height, width = trained.size
    yield (
        "- Not tested on images of other cameras, places, seasons or light than the data set's, "
        "nor on a test split that the search has not seen, unless a report says so."
    )
    yield f"- Images are resized to {height}×{width}; what is only a few pixels there is missed."
    yield "- Its probabilities are not calibrated unless a report says so."
    classes = _by_class(best) if best else {}
    weak = {name: value for name, value in classes.items() if value < 0.5}
    if weak:
        listed = ", ".join(f"{_plain(key)} ({value:.2f})" for key, value in sorted(weak.items()))
        yield f"- Classes with an IoU below 0.5: {listed}."


def _usage() -> str:
    return (
        "```bash\nsegtune predict model.pt IMAGES --as overlay --out predicted\n"
        "segtune export model.pt --to onnx --out model.onnx\n```\n\n"
        "Exported files carry classes, palette and preprocessing in their metadata, under the key "
        "`segtune`."
    )
