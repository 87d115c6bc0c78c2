"""Batches that cannot be trained, by what is known without the data or the network.

Batch norm learns nothing from an image that passes alone where the network leaves one value per
channel; and an epoch holds whole batches only, so that a batch is no larger than the training part.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tuner.configs import catalog, single_value
from tuner.configs.checks.corners import COMBINATIONS, combinations
from tuner.errors import Problem
from tuner.spec.config import DatasetConfig, ModelConfig, TrainingConfig
from tuner.spec.space import Params, SearchSpace
from tuner.spec.study import StudySpec
from tuner.wording import quantity

_BATCH = ("training.batch_size", "training.micro_batch")
_MODEL = (
    "model.decoder",
    "model.encoder",
    "model.norm",
    "model.output_stride",
    "model.freeze_epochs",
)


def batch_problems(spec: StudySpec) -> Iterator[Problem]:
    """Batches of the recipe, or that the space draws, which no trial can be trained with."""
    yield from _shared(spec)
    images = training_images(spec.dataset)
    yield from size_problems(spec, images) if images is not None else ()
    drawn = islice(combinations(spec.space, _BATCH), COMBINATIONS)
    gpus = max(1, spec.resources.gpus)
    if any(single_value.single(_with(spec.base.training, each), gpus=gpus) for each in drawn):
        yield from _alone(spec)


def size_problems(spec: StudySpec, images: int) -> list[Problem]:
    """Batches of the recipe, or that the space draws, which so many images cannot fill."""
    found = {}
    for params in islice(combinations(spec.space, _BATCH[:1]), COMBINATIONS):
        batch = _with(spec.base.training, params).batch_size
        if batch > images:
            message = (
                f"batch_size is {batch}, but the training split has "
                f"{quantity(images, 'image')}; use {images} "
                "or less"
            )
            problem = _problem(spec, params, _BATCH[:1], message)
            found[problem.location, problem.message] = problem
    return list(found.values())


def training_images(dataset: DatasetConfig) -> int | None:
    """Images to train on, where the config says how many are drawn; None where files say it."""
    options = catalog.components("dataset")[dataset.format].options
    if "root" in options or dataset.group is not None:
        return None
    drawn = {key: dataset.options.get(key, options[key].default) for key in ("train", "val")}
    count: int = drawn["train"]
    if dataset.fold is not None:
        part, folds = dataset.fold
        count += 0 if dataset.holdout else drawn["val"]
        count -= len(range(part, count, folds))
    elif dataset.holdout:
        count -= min(max(round(dataset.holdout * count), 1), count - 1)
    return max(1, round(dataset.subset * count))


def _shared(spec: StudySpec) -> Iterator[Problem]:
    """Batches that the processes which train a trial together cannot share."""
    gpus = max(1, spec.resources.gpus)
    for params in islice(combinations(spec.space, (*_BATCH[:1], "model.norm")), COMBINATIONS):
        batch = _with(spec.base.training, params).batch_size
        said = f"batch_size is {batch}, and resources.gpus is {gpus}"
        if batch < gpus:
            message = f"{said}: each GPU needs an image of every batch; use {gpus} or more"
            yield _problem(spec, params, _BATCH[:1], message)
        elif batch % gpus and _with(spec.base.model, params).norm == "sync":
            message = f"{said}: model.norm: sync wants equal shares; use a multiple of {gpus}"
            yield _problem(spec, params, _BATCH[:1], message)


def _alone(spec: StudySpec) -> Iterator[Problem]:
    """Networks that cannot learn from an image that passes alone."""
    gpus = max(1, spec.resources.gpus)
    for params in islice(combinations(spec.space, (*_BATCH, *_MODEL)), COMBINATIONS):
        training = _with(spec.base.training, params)
        model = _with(spec.base.model, params)
        # The norms of several GPUs that are in step never see one image alone.
        is_synced = gpus > 1 and model.norm == "sync"
        why = None if is_synced else single_value.single(training, gpus=gpus)
        cause = single_value.cause(model, spec.dataset.size) if why else None
        is_frozen = model.freeze_epochs >= training.epochs and "one pixel" in (cause or "")
        if cause and not is_frozen:
            remedy = single_value.remedy(cause)
            message = f"{why}, and {cause}, from which batch norm cannot learn; {remedy}"
            yield _problem(spec, params, (*_BATCH, *_MODEL), message)


def _with(section: Any, params: Params) -> Any:
    """The training or the model section with what is drawn for it."""
    name = "training" if isinstance(section, TrainingConfig) else "model"
    assert isinstance(section, TrainingConfig | ModelConfig)
    drawn = {
        path.removeprefix(f"{name}."): value
        for path, value in params.items()
        if path.startswith(f"{name}.")
    }
    return section.model_copy(update=drawn)


def _problem(spec: StudySpec, params: Params, blamed: Sequence[str], message: str) -> Problem:
    """The problem where the document says what is drawn, or in its recipe."""
    drawn = next((path for path in blamed if path in params), None)
    if drawn is not None:
        return Problem(("space", drawn, _place(spec.space, drawn, params)), message)
    key = "micro_batch" if "micro_batch" in message else "batch_size"
    return Problem(("base", "training", key), message)


def _place(space: SearchSpace, path: str, params: Params) -> int:
    active = space.active(path, params)
    return 0 if active is None else active[0]
