"""From the options of `segtune evaluate` to its result, its lines and its files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path

import tuner
from tuner.cli.documents import read_result, read_study, write
from tuner.cli.evaluate import checks
from tuner.cli.evaluate.progress import counted
from tuner.cli.evaluate.repetition import trained
from tuner.cli.models import ModelSources, is_document, open_trained
from tuner.cli.preview import read_config
from tuner.cli.train.retraining import Places, completed, with_changes
from tuner.delivery.evaluation import pictures, report, robustness, scoring
from tuner.delivery.evaluation.inference import Inference
from tuner.delivery.evaluation.results import Evaluation, Repetition, Subject, summary, to_json
from tuner.delivery.evaluation.scoring import Pass
from tuner.delivery.predictor import Predictor
from tuner.delivery.trained import open_model
from tuner.errors import InvalidInput, NotFound, Problem
from tuner.spec.config import TrialConfig
from tuner.training.data.parts import open_part
from tuner.training.determinism import DeviceContext, applied
from workers.settings import WorkerSettings

_NAMES = ("miou", "pixel_accuracy", "dice", "boundary_f_score", "boundary_iou", "ece")


@dataclass(frozen=True)
class Job:
    """What to evaluate, on what, and where."""

    model: str
    sources: ModelSources
    split: str
    data: Path | None
    changes: tuple[str, ...]
    inference: Inference
    settings: WorkerSettings
    device: str
    batch: int | None = None
    seeds: int = 0
    seeds_folder: Path = Path()

    @property
    def context(self) -> DeviceContext:
        """The device, with this worker's threads."""
        return DeviceContext(device=self.device, threads=self.settings.threads)


@dataclass(frozen=True)
class Found:
    """An evaluation, and the pass that pictures are drawn from."""

    evaluation: Evaluation
    run: Pass


def evaluated(job: Job, *, robustness: bool) -> Found:
    """Score the model, its robustness if asked for, and other seeds of its config.

    Raises:
        InvalidInput: model and data set do not go together, or there is no config to train.
        NotFound, DataError, TrainingError, OutOfMemory: as opening and scoring raise them.
    """
    changes = checks.dataset_changes(job.changes)
    predictor, own = opened(job)
    if own is None and job.seeds:
        message = f"{job.model} has no config to train again; name a model.pt or a study"
        raise InvalidInput([Problem(("--seeds",), message)])
    config = with_changes(_of_data(job, own), changes)
    size = config.dataset.size if predictor is None else predictor.size
    dataset = config.dataset.model_copy(update={"size": size})
    notes = scoring.check_classes(predictor, dataset.classes) if predictor else ()
    part = open_part(
        dataset, job.split, cache=job.settings.cache_folder, roots=job.settings.data_roots
    )
    if predictor is not None:  # before the hours of training
        scoring.check_channels(predictor, part.source.channels)
    models = () if own is None else _trained(job, with_changes(own, changes))
    if predictor is None:
        seed, path = models[0]
        predictor = open_model(path, device=job.device, name=f"{Path(job.model).name}, seed {seed}")
    run = Pass(predictor, part, job.inference, _at_once(job, own), job.context)
    with applied("exact", job.context):
        found = _measured(job, run, notes, robustness=robustness)
        again = tuple(_repetition(job, run, seed, path) for seed, path in models)
    return Found(replace(found, repetitions=again), run)


def opened(job: Job) -> tuple[Predictor | None, TrialConfig | None]:
    """The model, and the config that it was trained by, if it was.

    A config whose weights nobody kept has no model yet; other seeds of it can be trained.

    Raises:
        NotFound, InvalidInput, DataUnavailable, TrainingError: as `open_trained`.
    """
    try:
        found = open_trained(job.model, job.sources, device=job.device)
    except NotFound:
        path = Path(job.model)
        if not job.seeds or not path.is_file() or not is_document(path):
            raise
        return None, completed(read_result(path)[0])
    return found, found.config


def _of_data(job: Job, own: TrialConfig | None) -> TrialConfig:
    """The config whose data set is meant. Raises InvalidInput."""
    if job.data is not None:
        return read_config(job.data, read_study(job.data))
    if own is not None:
        return own
    message = f"{job.model} does not say on what data it was trained; name a study or a best.json"
    raise InvalidInput([Problem(("--data",), message)])


def _trained(job: Job, config: TrialConfig) -> tuple[tuple[int, Path], ...]:
    """Seeds and model files of the config, as many as are asked for."""
    places = Places(
        folder=job.seeds_folder,
        cache=job.settings.cache_folder,
        roots=job.settings.data_roots,
        device=job.device,
        threads=job.settings.threads,
    )
    return trained(config, job.seeds, places) if job.seeds else ()


def _repetition(job: Job, run: Pass, seed: int, path: Path) -> Repetition:
    """Score another seed's model as the model was."""
    predictor = open_model(path, device=job.device, name=f"seed {seed}")
    with counted(len(run.part), f"scoring seed {seed}") as tick:
        scores = scoring.score(replace(run, predictor=predictor, tick=tick))
    return Repetition(seed, summary(scores, tuple(predictor.classes)))


def _at_once(job: Job, own: TrialConfig | None) -> int:
    """Images at once: as many as training passed, whose last digits depend on it."""
    if job.batch is not None or own is None:
        return job.batch or 1
    return own.training.micro_batch or own.training.batch_size


def _measured(job: Job, run: Pass, notes: tuple[str, ...], *, robustness: bool) -> Evaluation:
    with counted(len(run.part), f"scoring {run.predictor.name}") as tick:
        scores = scoring.score(replace(run, tick=tick))
    subject = _subject(job, run, notes)
    if not robustness:
        return Evaluation(subject, scores)
    return Evaluation(subject, scores, _disturbed(run))


def _disturbed(run: Pass) -> robustness.Robustness:
    total = len(run.part) * robustness.passes()
    with counted(total, f"disturbing {run.predictor.name}") as tick:
        return robustness.disturb(replace(run, tick=tick))


def _subject(job: Job, run: Pass, notes: tuple[str, ...]) -> Subject:
    predictor, part = run.predictor, run.part
    return Subject(
        model=predictor.name,
        split=part.name,
        images=len(part),
        classes=tuple(predictor.classes),
        size=predictor.size,
        inference=job.inference.described(predictor.size),
        data=part.decoded.fingerprint,
        device=job.device,
        weights=getattr(predictor, "sha256", ""),
        versions={"segtune": tuner.__version__, "torch": installed("torch")},
        notes=(*notes, *part.notes),
    )


def described(found: Found) -> Iterator[str]:
    """Lines for a terminal."""
    evaluation = found.evaluation
    subject, values = evaluation.subject, evaluation.metrics
    yield f"{subject.model} on {subject.images} {subject.split} images, {subject.inference}"
    for note in subject.notes:
        yield f"note: {note}"
    spreads = {each.metric: each for each in evaluation.spreads}
    for name in _NAMES:
        if name in values:
            more = spreads.get(name)
            seeds = f"   seeds {more.mean:.4f} ± {more.deviation:.4f}" if more else ""
            yield f"  {name:17} {values[name]:.4f}{seeds}"
    if (disturbed := evaluation.robustness) is not None:
        for each in disturbed.corruptions:
            yield f"  miou under {each.kind:11} " + " ".join(f"{v:.3f}" for v in each.miou)
        for moved in disturbed.consistency:
            yield f"  kept when {moved.change:23} {moved.share:.2%}"


def rendered(
    job: Job, found: Found, out: Path, json: Path | None, images: int
) -> Iterator[tuple[Path, str]]:
    """Write the report, and the numbers if a file is named; gives each with its text.

    Raises:
        StorageError: a file cannot be written.
    """
    worst, best = pictures.extremes(found.run.part, found.evaluation.scores.images, images)
    with applied("exact", job.context):
        drawn = [pictures.draw(found.run, some) for some in (worst, best)]
    texts = [(out, report.page(found.evaluation, *drawn))]
    if json is not None:
        texts.append((json, to_json(found.evaluation)))
    for path, text in texts:
        write(path, text)
        yield path, text
