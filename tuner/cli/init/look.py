"""From a folder to a proposal: the formats that it looks like, else folders of images and masks."""

from dataclasses import replace
from pathlib import Path

from tuner.cli.init.known import KnownFormat, recognised
from tuner.cli.init.layout import find_layout
from tuner.cli.init.proposal import Proposal, options_of, propose, propose_known
from tuner.cli.init.sample import Sample, fault, sample
from tuner.cli.init.survey import survey
from tuner.cli.init.void import Question
from tuner.configs.checks.formats import completed
from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.data import patterns

_ANY_SIZE = [32, 32]  # for opening alone; the size is chosen from the files


def look(folder: Path, name: str, root: str, ask: Question) -> Proposal:
    """The study that is proposed for a folder.

    Raises:
        DataError: it holds no images with masks or annotations that can be used.
    """
    refused: DataError | None = None
    files = list(patterns.files_below(folder))
    try:
        formats = list(recognised(folder, files))
    except DataError as error:
        formats, refused = [], error
    for known in formats:
        if known.format == "coco" and _has_masks(files, known):
            continue
        try:
            chosen, read = _opened(known, folder)
            return propose_known(chosen, read, name, root)
        except DataError as error:
            refused = refused or error
    try:
        found = propose(survey(folder), name, root, ask)
    except DataError as error:
        raise (refused or error) from None
    if any(note.startswith("WARNING: training") for note in found.notes):
        return found
    if why := fault(_config({**found.dataset, "root": "."}), folder):
        found = replace(found, notes=(*found.notes, f"WARNING: training refuses this: {why}"))
    return found


def _has_masks(files: list[str], known: KnownFormat) -> bool:
    """Whether masks lie beside an annotation file, which are what a study trains on then."""
    try:
        layout = find_layout(files)
    except DataError:
        return False
    return any(split.pairs for split in layout.splits.values())


def _opened(known: KnownFormat, folder: Path) -> tuple[KnownFormat, Sample]:
    try:
        return known, sample(_dataset(known), folder)
    except DataError as error:
        if "crowd: label" not in str(error):
            raise
    known = replace(known, options={**known.options, "crowd": "label"})
    return known, sample(_dataset(known), folder)


def _dataset(known: KnownFormat) -> DatasetConfig:
    said = {"format": known.format, "root": known.below or ".", **options_of(known)}
    classes = {"classes": list(known.classes)} if known.classes else {}
    return _config({**said, **classes, "size": _ANY_SIZE})


def _config(dataset: dict[str, object]) -> DatasetConfig:
    return DatasetConfig.model_validate(completed({"dataset": dataset})["dataset"])
