"""Training of one configuration in this process, to its end or until it is interrupted."""

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from tuner.cli.train.comparison import Record
from tuner.cli.train.progress import Display
from tuner.configs.paths import split_path
from tuner.configs.resolve import complete
from tuner.errors import DataChanged, InvalidInput, Malformed, NotFound, Problem
from tuner.spec.config import TrialConfig
from tuner.spec.counting import replaces
from tuner.spec.documents import parse_yaml
from tuner.spec.messages import OutcomeKind, Report, Verdict
from tuner.spec.metrics import named
from tuner.spec.validation import invalid
from tuner.spec.versions import short
from tuner.training.session import Session
from tuner.wording import quantity

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Places:
    """Where to train, where files lie, and the fingerprint of the data that are expected."""

    folder: Path
    cache: Path
    roots: tuple[Path, ...]
    device: str  # as torch names it
    threads: int | None = None
    resume: bool = False
    data: str | None = None
    allow_other_data: bool = False


@dataclass(slots=True)
class RetrainingResult:
    """What came out: the metrics of the epoch that the model is of, which is the last unless the
    config says that it is the best, and the signal that ended it early, if one did.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    epoch: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    step: int = 0
    interrupted: int = 0


def choose_threads(
    config: TrialConfig, record: Record | None, own: int | None, device: str
) -> tuple[int | None, str]:
    """CPU threads to train with, and what to say of them.

    The recorded number wins where the result depends on it: sums differ with it, and training
    makes more of that than last digits.
    """
    recorded = record.threads if record is not None else None
    if recorded is None or config.training.determinism != "exact" or device != "cpu":
        return own, ""
    if own in {None, recorded}:
        return recorded, ""
    return recorded, f"training with {quantity(recorded, 'thread')} as recorded, not with {own}"


def with_changes(config: TrialConfig, changes: Iterable[str]) -> TrialConfig:
    """The config with `section.key=value` assignments laid over it; values are YAML.

    Raises:
        InvalidInput: an assignment, its path or its value is not possible.
    """
    tree: dict[str, Any] = config.model_dump(mode="json")
    for change in changes:
        path, is_assignment, text = change.partition("=")
        section, key = split_path(path)
        whole = section in {"seed", "best_by"} and not key
        if not is_assignment or not (whole or (isinstance(tree.get(section), dict) and key)):
            message = f"write section.key=value as in training.epochs=5, not '{change}'"
            raise InvalidInput([Problem(("--set",), message)])
        if whole:
            tree[section] = _value(change, text)
        else:
            tree[section][key] = _value(change, text)
    try:
        return complete(TrialConfig.model_validate(tree))
    except ValidationError as error:
        raise invalid(error, TrialConfig) from None


def completed(recorded: TrialConfig) -> TrialConfig:
    """The config of a file with the options that its release did not know, if it can be."""
    try:
        return complete(recorded)
    except InvalidInput:  # what is wrong may be changed
        return recorded


def _value(change: str, text: str) -> Any:
    try:
        return parse_yaml(text.encode(errors="surrogateescape"))
    except (Malformed, InvalidInput) as error:
        message = f"the value in '{change}' cannot be read: {error}"
        raise InvalidInput([Problem(("--set",), message)]) from None


def retrain(config: TrialConfig, places: Places, display: Display) -> RetrainingResult:
    """Train to the end, or until SIGINT or SIGTERM asks for an early one with a checkpoint.

    Raises:
        NotFound: there is no checkpoint to go on from.
        DataChanged: the data are not those that are expected, or that the checkpoint knows.
        DataError, TrainingError: the data set or the training does not allow it.
    """
    from tuner.training.data.load import load
    from tuner.training.determinism import DeviceContext
    from tuner.training.train import train

    checkpoint, result = _checkpoint(places), RetrainingResult()
    data = load(config.dataset, cache=places.cache, roots=places.roots)
    check_data(data.fingerprint, places)

    places.folder.mkdir(parents=True, exist_ok=True)
    with interruptible() as signals:
        outcome = train(
            config,
            data,
            _Shown(config, display, result, signals),
            folder=places.folder,
            resume=checkpoint,
            context=DeviceContext(device=places.device, threads=places.threads),
        )
    result.provenance, result.step = outcome.provenance, outcome.step
    if outcome.kind is OutcomeKind.YIELDED:
        result.interrupted = signals[0]
    return result


class _Shown(Session):
    """What happens is shown; the first signal asks for an early end."""

    def __init__(
        self, config: TrialConfig, display: Display, result: RetrainingResult, signals: list[int]
    ) -> None:
        self._by, self._classes = config.best_by, config.dataset.classes
        self._display, self._result, self._signals = display, result, signals
        self._known: float | None = None

    def started(self, epoch: int, steps_per_epoch: int, provenance: Mapping[str, Any]) -> None:
        self._display.begun(epoch, steps_per_epoch, provenance)

    def report(self, report: Report) -> Verdict:
        metrics, value = dict(report.metrics), None
        if self._by is not None:
            metrics = named([self._by.metric], metrics, report.confusion, self._classes)
            value = metrics.get(self._by.metric)
        if replaces(self._by, value, self._known):
            self._result.metrics, self._result.epoch, self._known = metrics, report.step, value
        self._display.report(report)
        return Verdict()

    def should_yield(self) -> bool:
        return self._display.step() or bool(self._signals)


def check_data(fingerprint: str, places: Places) -> None:
    """Raise DataChanged where the data are not the expected ones and that is not allowed."""
    if places.data in {None, fingerprint} or places.allow_other_data:
        return
    raise DataChanged(
        f"the data changed: their fingerprint is {short(fingerprint)}, the file's result was made "
        f"with {short(places.data)}, so its numbers cannot be reproduced; restore those data, "
        "or train on the current ones with --allow-other-data"
    )


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collect the first SIGINT or SIGTERM; the second one does what it always does."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        restore()


def _checkpoint(places: Places) -> Path | None:
    """The checkpoint to go on from, aside from those that are to come. Raises NotFound."""
    path = places.folder / _CHECKPOINT
    if not places.resume:
        return None
    if not path.is_file():
        raise NotFound(f"there is no {path} to go on from; train without --resume, or name --out")
    return path
