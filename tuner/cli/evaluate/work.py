"""From the options of `segtune evaluate` to its result, its lines and its files."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path

import tuner
from tuner.cli.data_sets import check_changes, data_set
from tuner.cli.documents import read_result, write
from tuner.cli.evaluate import checks
from tuner.cli.evaluate.progress import counted
from tuner.cli.evaluate.repetition import trained
from tuner.cli.models import ModelSources, find_model, open_predictor
from tuner.cli.train.retraining import Places, completed, with_changes
from tuner.delivery.evaluation import figures, reasons, report, robustness, scoring
from tuner.delivery.evaluation.inference import Inference
from tuner.delivery.evaluation.reasons import Reasons
from tuner.delivery.evaluation.results import (
    EvaluationResult,
    Repetition,
    Subject,
    summary,
    to_json,
)
from tuner.delivery.evaluation.scoring import Pass
from tuner.delivery.file_model import FileModel
from tuner.delivery.predictor import Predictor
from tuner.delivery.trained import TrainedModel, open_model
from tuner.errors import NotFound
from tuner.spec.config import TrialConfig
from tuner.training.data.parts import open_part
from tuner.training.determinism import DeviceContext, applied
from tuner.wording import quantity
from workers.settings import WorkerSettings

_NAMES = ("miou", "pixel_accuracy", "dice", "boundary_f_score", "boundary_iou", "ece")


@dataclass(frozen=True)
class EvaluationRequest:
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
    explain: str | None = None

    @property
    def context(self) -> DeviceContext:
        """The device, with this worker's threads."""
        return DeviceContext(device=self.device, threads=self.settings.threads)


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, and the pass that figures are drawn from."""

    evaluation: EvaluationResult
    run: Pass


def evaluated(request: EvaluationRequest, *, robustness: bool) -> Evaluated:
    """Score the model, its robustness if asked for, and other seeds of its config.

    Raises:
        InvalidInput: model and data set do not go together, or there is no config to train.
        NotFound, DataError, TrainingError, OutOfMemory: as opening and scoring raise them.
    """
    check_changes(request.changes)
    predictor, own = opened(request)
    known = predictor or own
    dataset = data_set(
        known.dataset if known else None, request.data, request.changes, model=request.model
    )
    if predictor is not None:
        dataset = dataset.model_copy(update={"size": predictor.size})
    notes = scoring.check_classes(predictor, dataset.classes) if predictor else ()
    if request.explain is not None:
        names = predictor.classes if predictor is not None else dataset.classes
        reasons.check(predictor, names, request.explain)
    part = open_part(
        dataset,
        request.split,
        cache=request.settings.cache_folder,
        roots=request.settings.data_roots,
    )
    if predictor is not None:  # before the hours of training
        scoring.check_channels(predictor, part.source.channels)
    models = _trained(request, own) if own is not None else ()
    if predictor is None:
        seed, path = models[0]
        predictor = open_model(
            path, device=request.device, name=f"{Path(request.model).name}, seed {seed}"
        )
    run = Pass(predictor, part, request.inference, _at_once(request, own), request.context)
    with applied("exact", request.context):
        found = _measured(request, run, notes, robustness=robustness)
        again = tuple(_repetition(request, run, seed, path) for seed, path in models)
    return Evaluated(replace(found, repetitions=again), run)


def opened(request: EvaluationRequest) -> tuple[Predictor | None, TrialConfig | None]:
    """The model, and the config that it was trained by, if one did.

    A config whose weights nobody kept has no model yet; other seeds of it can be trained.

    Raises:
        NotFound, InvalidInput, DataUnavailable, TrainingError: as `find_model`, `open_predictor`.
    """
    try:
        found = find_model(request.model, request.sources)
    except NotFound:
        path = Path(request.model)
        if not request.seeds or not path.is_file():
            raise
        return None, completed(read_result(path)[0])
    threads = request.settings.threads or 0
    predictor = open_predictor(found, request.sources, device=request.device, threads=threads)
    checks.refuse_other_forms(predictor, request.model, seeds=request.seeds)
    own = predictor.config if isinstance(predictor, TrainedModel | FileModel) else None
    return predictor, own


def _trained(request: EvaluationRequest, config: TrialConfig) -> tuple[tuple[int, Path], ...]:
    """Seeds and model files of the config with its changes, as many as are asked for."""
    if not request.seeds:
        return ()
    places = Places(
        folder=request.seeds_folder,
        cache=request.settings.cache_folder,
        roots=request.settings.data_roots,
        device=request.device,
        threads=request.settings.threads,
    )
    return trained(with_changes(config, request.changes), request.seeds, places)


def _repetition(request: EvaluationRequest, run: Pass, seed: int, path: Path) -> Repetition:
    """Score another seed's model as the model was."""
    predictor = open_model(path, device=request.device, name=f"seed {seed}")
    with counted(len(run.part), f"scoring seed {seed}") as tick:
        scores = scoring.score(replace(run, predictor=predictor, tick=tick))
    return Repetition(seed, summary(scores, tuple(predictor.classes)))


def _at_once(request: EvaluationRequest, own: TrialConfig | None) -> int:
    """Images at once: as many as training passed, whose last digits depend on it."""
    if request.batch is not None or own is None:
        return request.batch or 1
    return own.training.micro_batch or own.training.batch_size


def _measured(
    request: EvaluationRequest, run: Pass, notes: tuple[str, ...], *, robustness: bool
) -> EvaluationResult:
    with counted(len(run.part), f"scoring {run.predictor.name}") as tick:
        scores = scoring.score(replace(run, tick=tick))
    subject = _subject(request, run, notes)
    if not robustness:
        return EvaluationResult(subject, scores)
    return EvaluationResult(subject, scores, _disturbed(run))


def _disturbed(run: Pass) -> robustness.Robustness:
    total = len(run.part) * robustness.passes()
    with counted(total, f"disturbing {run.predictor.name}") as tick:
        return robustness.disturb(replace(run, tick=tick))


def _subject(request: EvaluationRequest, run: Pass, notes: tuple[str, ...]) -> Subject:
    predictor, part = run.predictor, run.part
    return Subject(
        model=predictor.name,
        split=part.name,
        images=len(part),
        classes=tuple(predictor.classes),
        size=predictor.size,
        inference=request.inference.described(predictor.size),
        data=part.decoded.fingerprint,
        device="cpu" if isinstance(predictor, FileModel) else request.device,
        weights=getattr(predictor, "sha256", ""),
        versions={"segtune": tuner.__version__, "torch": installed("torch")},
        notes=(*notes, *part.notes),
    )


def described(found: Evaluated) -> Iterator[str]:
    """Lines for a terminal."""
    evaluation = found.evaluation
    subject, values = evaluation.subject, evaluation.metrics
    images = quantity(subject.images, f"{subject.split} image")
    yield f"{subject.model} on {images}, {subject.inference}"
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


def _reasons(request: EvaluationRequest, found: Evaluated, count: int) -> Reasons | None:
    """Why the model answers as it does for the class that was asked for."""
    model, name, scores = found.run.predictor, request.explain, found.evaluation.scores.images
    if name is None or not isinstance(model, TrainedModel):
        return None
    with counted(count, f"explaining '{name}'") as tick:
        return reasons.explained(model, found.run.part, scores, name, count=count, tick=tick)


def rendered(
    request: EvaluationRequest, found: Evaluated, out: Path, json: Path | None, images: int
) -> Iterator[tuple[Path, str]]:
    """Write the report, and the numbers if a file is named; gives each with its text.

    Raises:
        StorageError: a file cannot be written.
    """
    worst, best = figures.extremes(found.run.part, found.evaluation.scores.images, images)
    with applied("exact", request.context):
        drawn = [figures.draw(found.run, some) for some in (worst, best)]
        why = _reasons(request, found, images)
    texts = [(out, report.page(found.evaluation, *drawn, reasons=why))]
    if json is not None:
        texts.append((json, to_json(found.evaluation)))
    for path, text in texts:
        write(path, text)
        yield path, text
