"""What is stored of a study and its trials as documents: read, and once a version understood."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from tuner.errors import InvalidSpec, NotFound, SegtuneError, Unreadable
from tuner.search.rules import Rules
from tuner.spec.config import TrialConfig
from tuner.spec.stored import read_config, read_spec
from tuner.spec.study import StudySpec
from tuner.spec.validation import summary
from tuner.store.tables import Study, Trial

logger = logging.getLogger(__name__)
# What reading a damaged row may raise; errors of the database itself are not among these.
DAMAGED = (
    Unreadable,
    InvalidSpec,
    NotFound,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
)
_KEPT = 256  # studies


class _Understood:
    """The newest version of each study's document with its rules, of those last asked for.

    Parsing one costs more than a heartbeat. Threads share it; one that is lost is parsed again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[dict[str, Any], Rules]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, study: Study) -> Rules:
        """The rules that the study's document makes. Raises Unreadable."""
        with self._lock:
            known = self._kept.get(study.id)
        if known is None or known[0] != study.spec:
            spec = read_spec(study.spec, f"study '{study.name}' (id {study.id})")
            known = (study.spec, Rules(spec))
        with self._lock:
            self._kept[study.id] = known
            self._kept.move_to_end(study.id)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return known[1]


_UNDERSTOOD = _Understood()


def spec_of(study: Study) -> StudySpec:
    """The study's document. Raises Unreadable if this release cannot read it."""
    return rules_of(study).spec


def rules_of(study: Study) -> Rules:
    """The study's document and what it means. Raises Unreadable if this release cannot read it."""
    return _UNDERSTOOD.of(study)


def is_readable(study: Study) -> bool:
    """Whether this release can read the study's document."""
    try:
        spec_of(study)
    except DAMAGED:
        return False
    return True


def config_of(trial: Trial) -> TrialConfig:
    """The trial's whole config. Raises Unreadable."""
    return read_config(trial.config, f"the config of trial {trial.number}")


@contextmanager
def whole(what: str) -> Iterator[None]:
    """Turn what a damaged row raises into one clear error; `what` names the row.

    Raises:
        Unreadable: the row is damaged.
    """
    try:
        yield
    except SegtuneError:
        raise
    except DAMAGED as error:
        logger.exception("%s cannot be read", what)
        raise Unreadable(f"{why(error, what)}. Correct what is stored, or delete it") from None


def why(error: Exception, what: str) -> str:
    """Why something cannot be shown: our own words, or those of the error."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, ValidationError):
        return f"{what} cannot be read: {summary(error, most=1)}"
    return f"{what} cannot be read: {type(error).__name__}: {error}"
