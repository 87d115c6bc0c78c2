"""A proposal as a study file in YAML, with what was found as comments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner.cli.init.proposal import Proposal
from tuner.configs import catalog
from tuner.configs.paths import NAMED
from tuner.configs.presets import Preset
from tuner.spec import yaml_core
from tuner.spec.config import Recipe
from tuner.training.data.image_files import colour_of

_MODEL_NOTES = (
    "`weights: pretrained` starts from ImageNet; a worker downloads the weights when it first",
    "needs them. Offline: fill its Hugging Face cache (HF_HOME) beforehand, or give the path of a",
    "file below its data roots instead; `weights: none` starts from random numbers",
)
# What the file says of each section of the recipe, and where it says something else.
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "model": ("decoder", "encoder", "weights"),
    "optimizer": ("name", "lr", "weight_decay", "momentum"),
    "schedule": ("name", "power", "warmup"),
    "loss": ("name",),
    "augment": (),
}
_OTHERWISE: Mapping[str, Mapping[str, Any]] = {
    "model": {"weights": "pretrained"},
    "augment": {"flip": 0.5, "scale": [0.5, 2.0], "colour": 0.4},
}
_SPACE: Mapping[str, str] = {
    "model": """\
  model.decoder: {choice: [ocr, deeplabv3plus]}
  model.encoder: [{choice: [hrnet_w18_small, resnet18], when: {model.decoder: ocr}},
                  {choice: [resnet18, mobilenet_v2], when: {model.decoder: deeplabv3plus}}]
""",
    "optimizer": """\
  optimizer.name: {choice: [sgd, adamw]}
  optimizer.lr: [{float: [1.0e-3, 1.0e-1], log: true, when: {optimizer.name: sgd}},
                 {float: [1.0e-5, 3.0e-3], log: true, when: {optimizer.name: adamw}}]
  optimizer.weight_decay: {float: [1.0e-6, 1.0e-2], log: true}
""",
    "augment": """\
  augment.scale: {choice: [[1.0, 1.0], [0.75, 1.5], [0.5, 2.0]]}
  augment.rotate: {int: [0, 20]}
  augment.colour: {float: [0.0, 0.6]}
""",
}
_SEARCH = """\
search: {sampler: auto, pruner: auto, trials: 40, parallel: 8, seed: 0}
resources: {gpus: 0}                    # 1: only workers with a GPU
"""
_NOTE_COLUMN = 40


def render(proposal: Proposal, presets: Sequence[Preset] = ()) -> str:
    """The study file; `tuner.configs.checks.parse` accepts it as it is.

    A preset replaces what the file says of its section of the config.
    """
    chosen = {preset.section: preset for preset in presets}
    lines = [*_found(proposal), *_recipe(proposal, chosen), *_space(proposal, chosen)]
    return "\n".join([*lines, _SEARCH])


def _found(proposal: Proposal) -> Iterator[str]:
    """Name, data set and objective, with what was seen of the files."""
    yield f"# A study for {_one_line(proposal.root)}, written by `segtune init`."
    yield from (f"# - {_one_line(note)}" for note in proposal.notes)
    yield f"name: {_scalar(proposal.name)}"
    yield "dataset:"
    yield f"  format: {proposal.format}"
    yield _noted(f"  root: {_scalar(proposal.root)}", "on the worker, under its data roots")
    for key, value in proposal.options.items():
        yield _noted(f"  {key}: {_scalar(value)}", _OPTION_NOTES.get(key, ""))
    yield from _classes(proposal)
    yield f"  ignore_index: {proposal.ignore}"
    height, width = proposal.size
    yield _noted(f"  size: [{height}, {width}]", "of the network's input; scores are at mask size")
    yield "objectives: [{metric: miou, direction: maximize}]"


def _classes(proposal: Proposal) -> Iterator[str]:
    """Each class with what was seen of it; as a comment where the format knows its classes."""
    if proposal.knows_classes:
        names = ", ".join(proposal.classes)
        yield f"  # the {len(proposal.classes)} classes of {proposal.format}: {names}"
        return
    yield _noted("  classes:", "share of the labelled pixels, and of the masks that have the class")
    for place, name in enumerate(proposal.classes):
        share, often = proposal.shares[place], proposal.frequency[place]
        seen = f"{share:.2%}, in {often:.0%} of masks" if share is not None else "not seen"
        colour = f"{colour_of(proposal.colours[place])}: " if proposal.colours else ""
        yield _noted(f"    - {_scalar(name)}", colour + seen)


def _recipe(proposal: Proposal, presets: Mapping[str, Preset]) -> Iterator[str]:
    yield _noted("base:", "trial 0: the textbook recipe, which the search must beat")
    for section in _SHOWN:
        if section == "model":
            yield from (f"  # {note}" for note in _MODEL_NOTES)
        if section == "optimizer":
            yield "  # lr is per 8 images and scaled to the batch size"
        preset = presets.get(section)
        yield f"  {section}: {_scalar(dict(preset.base) if preset else _textbook(section))}"
    batch = min(8, proposal.batch_sizes[-1])
    yield f"  training: {{epochs: {proposal.epochs}, batch_size: {batch}, determinism: exact}}"


def _textbook(section: str) -> dict[str, Any]:
    """What a recipe has by default in a section, as far as the file says it."""
    values = getattr(Recipe(), section).model_dump()
    for field, kind in NAMED.get(section, {}).items():
        own = catalog.find(kind, values[field]).options.values()
        values |= {option.name: option.default for option in own}
    return {key: values[key] for key in _SHOWN[section]} | dict(_OTHERWISE.get(section, {}))


def _space(proposal: Proposal, presets: Mapping[str, Preset]) -> Iterator[str]:
    yield _noted("space:", "`when` draws a range only where it applies")
    for section in _SHOWN:
        if section in presets:
            yield f"  # {presets[section].name}: {presets[section].summary}"
            for path, ranges in presets[section].space.items():
                yield from _range(path, ranges)
        elif section in _SPACE:
            yield _SPACE[section].rstrip("\n")
    if len(proposal.batch_sizes) > 1:
        yield f"  training.batch_size: {{choice: {list(proposal.batch_sizes)}}}"
    if proposal.weighted and "loss" not in presets:
        yield "  loss.class_weights: {choice: [none, median_frequency]}   # some classes are rare"


def _range(path: str, ranges: Any) -> Iterator[str]:
    """One range on one line, alternatives one below the other."""
    if not isinstance(ranges, list):
        yield f"  {path}: {_scalar(ranges)}"
        return
    yield f"  {path}:"
    yield from (f"    - {_scalar(alternative)}" for alternative in ranges)


_OPTION_NOTES = {
    "holdout": "no images for validation: this share of all validates",
    "values": "what the masks hold for each class, in order",
    "palette": "r, g, b of each class, in order; colours after the last class are ignored",
    "remap": "what the masks hold: label in `classes`; all else is ignored",
    "channels": "the files' own bands and depth, instead of RGB of 8 bits",
    "value_range": "is mapped to 0 to 255; correct it if the files can hold more",
    "extra": "further channels of each image",
    "crowd": "all annotations are marked as crowds, which would be ignored",
}


def _noted(text: str, note: str) -> str:
    return f"{text:<{_NOTE_COLUMN - 1}} # {_one_line(note)}" if note else text


def _one_line(note: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in note)


def _scalar(value: Any) -> str:
    """A value on one line of YAML, quoted where it must be."""
    return yaml_core.dump(value, flow=True)
