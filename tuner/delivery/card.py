"""The model card of a trial: what it was trained on, what it reaches, and where its limits are.

The sections are those of Mitchell et al. 2019, "Model Cards for Model Reporting"; the lines before
the title are the ones that model hubs read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.delivery.needs import require
from tuner.spec.config import TrialConfig
from tuner.spec.metrics import MEASURED, SUMMARIES
from tuner.spec.versions import short
from tuner.spec.views import Best
from tuner.wording import measure, metric, quantity, setting

_PUBLISHED = "pretrained"
_UNKNOWN = "unknown"
_SECTIONS = ("model", "optimizer", "schedule", "loss", "augment", "training")


def card(config: TrialConfig, name: str, best: Best | None = None) -> str:
    """The card in Markdown: of a study's result, or without one of a model's config alone."""
    facts = best.provenance if best else {}
    parts = {
        "Intended use": _use(config),
        "Data": _data(config, facts),
        "Results": _results(config, best) if best else ["No result came with the model file."],
        "Recipe": _recipe(config),
        "Provenance": _provenance(config, facts),
        "Limits": _limits(config, best),
        "Licence": [_licence(config, facts)],
        "How to use it": _commands(best),
    }
    head = ["---", "library_name: segtune", "pipeline_tag: image-segmentation", "---"]
    lines = [*head, "", f"# {name}", "", _summary(config)]
    for title, body in parts.items():
        lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def licence_of(config: TrialConfig, facts: Mapping[str, Any]) -> str:
    """The licence of the weights that training began with, as timm states it; else `unknown`.

    `facts` is the trial's provenance, which names the published weights.
    """
    source = str(_mapping(facts, "weights").get("source") or "")
    if config.model.weights != _PUBLISHED or not source:
        return _UNKNOWN
    timm = require("timm", purpose="the licence of published weights", extra="worker")
    known = timm.get_pretrained_cfg(source, allow_unregistered=True)
    return str(getattr(known, "license", None) or _UNKNOWN)


def _summary(config: TrialConfig) -> str:
    height, width = config.dataset.size
    return (
        f"Semantic segmentation into {quantity(len(config.dataset.classes), 'class')} by "
        f"{config.model.decoder} on {config.model.encoder}, trained at {height}×{width} (height × "
        "width)."
    )


def _use(config: TrialConfig) -> Iterator[str]:
    names = ", ".join(config.dataset.classes)
    yield f"It gives each pixel of an image one of: {names}."
    yield ""
    yield (
        "Images are like those of its training set in what they show, in how they were taken, and "
        "in their channels. Mean and deviation are part of the network: it takes values of 0 to "
        "255."
    )


def _data(config: TrialConfig, facts: Mapping[str, Any]) -> Iterator[str]:
    dataset = config.dataset
    yield f"- format: `{dataset.format}`"
    if root := dataset.options.get("root"):
        yield f"- root: `{root}`"
    yield f"- fingerprint: `{facts.get('data', 'not known')}`"
    yield f"- label that is ignored: {dataset.ignore_index}"
    if dataset.subset < 1:
        yield f"- share of the training images: {dataset.subset:g}"


def _results(config: TrialConfig, best: Best) -> Iterator[str]:
    """Metrics on the validation split, and what fresh seeds gave of them."""
    found = best.metrics
    yield f"On the validation split, trial {best.trial} of study `{best.study}`:"
    yield ""
    yield from _table(
        ("metric", "value"),
        [(f"`{name}`", metric(found[name])) for name in SUMMARIES if name in found],
    )
    yield from _confirmed(best)
    classes = [name for name in config.dataset.classes if f"iou.{name}" in found]
    if classes:
        yield ""
        yield from _table(
            ("class", "IoU"), [(_cell(name), metric(found[f"iou.{name}"])) for name in classes]
        )
    costs = [name for name in MEASURED if name in found]
    if costs:
        yield ""
        yield "Measured where it is to run:"
        yield ""
        rows = [(f"`{name}`", f"{measure(found[name])} {MEASURED[name]}".strip()) for name in costs]
        yield from _table(("cost", "value"), rows)


def _confirmed(best: Best) -> Iterator[str]:
    """The mean over fresh seeds, which is what to expect of another training."""
    leaders = best.confirmation.leaders if best.confirmation else ()
    own = next((leader for leader in leaders if leader.trial == best.trial), None)
    if own is None or own.mean is None:
        return
    spread = "" if own.spread is None else f" ± {metric(own.spread)}"
    yield ""
    yield (
        f"Trained again with {quantity(len(own.values), 'fresh seed')}: {metric(own.mean)}{spread} "
        "(mean ± standard deviation of one training). Expect this rather than the value above, "
        "which was selected for being high."
    )


def _recipe(config: TrialConfig) -> Iterator[str]:
    rows = [
        (f"`{section}.{key}`", _cell(setting(value) if not isinstance(value, list) else f"{value}"))
        for section in _SECTIONS
        for key, value in getattr(config, section).model_dump(mode="json").items()
        if value is not None
    ]
    yield from _table(("path", "value"), rows)


def _provenance(config: TrialConfig, facts: Mapping[str, Any]) -> Iterator[str]:
    versions = _mapping(facts, "versions")
    yield f"- seed: {config.seed}"
    yield f"- determinism: {config.training.determinism}"
    if versions:
        yield "- versions: " + ", ".join(f"{name} {each}" for name, each in versions.items())
    if device := facts.get("device_name"):
        yield f"- trained on: {device} ({facts.get('device')})"
    if isinstance(seconds := facts.get("seconds"), int | float):
        yield f"- seconds of training: {measure(seconds)}"
    for each in facts.get("artifacts") or ():
        if isinstance(each, Mapping) and each.get("kind") == "model":
            yield f"- sha256 of the weights: `{each.get('sha256')}`"


def _limits(config: TrialConfig, best: Best | None) -> Iterator[str]:
    found = best.metrics if best else {}
    yield (
        "- Its numbers are of a validation split that the search selected on; a test split tells "
        "more: `segtune evaluate --split test`."
    )
    yield "- Nothing is known of other places, seasons, cameras or populations than the data set's."
    ious = {name: found[f"iou.{name}"] for name in config.dataset.classes if f"iou.{name}" in found}
    if ious:
        worst = min(ious, key=lambda name: ious[name])
        yield f"- Its weakest class is {worst}, with an IoU of {metric(ious[worst])}."
    absent = [name for name in config.dataset.classes if best and name not in ious]
    if absent:
        yield f"- Not measured, because they do not occur in the split: {', '.join(absent)}."
    if best and best.confirmation is None:
        yield "- One training with one seed: its spread over seeds is not known."


def _licence(config: TrialConfig, facts: Mapping[str, Any]) -> str:
    """In words, because it is not ours to give."""
    weights = _mapping(facts, "weights")
    if config.model.weights == "none":
        return "Trained from random weights; the licence of the data set decides."
    source = weights.get("source") or config.model.weights
    licence = licence_of(config, facts)
    known = f"is {licence}" if licence != _UNKNOWN else "is not known; look it up before you share"
    return (
        f"Training began with the weights `{source}`, whose licence {known}. The licence of the "
        "data set applies too."
    )


def _commands(best: Best | None) -> Iterator[str]:
    target = "best.json" if best else "model.pt"
    yield "```"
    yield f"segtune evaluate {target} --split test"
    yield f"segtune predict {target} images/"
    yield f"segtune export {target} --to onnx"
    yield "```"
    if best:
        data = short(str(best.provenance.get("data", "")))
        yield ""
        yield f"`segtune train best.json` trains it again, on data of fingerprint `{data}`."


def _table(heads: tuple[str, str], rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {heads[0]} | {heads[1]} |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows)


def _cell(text: str) -> str:
    """Text that stays within its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def _mapping(facts: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = facts.get(key)
    return found if isinstance(found, Mapping) else {}
