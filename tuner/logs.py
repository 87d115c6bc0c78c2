"""How a process logs: to standard error, as text or as one JSON object a line.

A JSON line says `time` (RFC 3339, UTC), `level`, `logger` and `message`; which `study`, `trial`,
`attempt` and `worker` it is about where that is known, also if a library wrote it; and `exception`.
"""

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

LogFormat = Literal["text", "json"]
TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
OURS = ("tuner", "api", "workers")
# At their debug level these put out addresses and headers, and so passwords and tokens.
QUIET = ("httpcore", "httpx", "urllib3")
IDS = ("study", "trial", "attempt", "worker")
_ACCESS = ("client", "method", "path", "http", "status")  # as uvicorn gives them

logger = logging.getLogger(__name__)
_context: ContextVar[Mapping[str, object]] = ContextVar("ids", default={})  # noqa: B039  # never changed, only replaced
_process: Mapping[str, object] = {}  # what a thread of a library says is about this


def configure(level: str, form: LogFormat = "text") -> None:
    """Log from a level on; of libraries their warnings at most, unless the level is debug."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(TEXT))
    least = logging.getLevelNamesMapping()[level.upper()]
    others = max(least, logging.WARNING) if least > logging.DEBUG else least
    logging.basicConfig(level=others, handlers=[handler], force=True)
    for room in OURS:
        logging.getLogger(room).setLevel(least)
    for library in QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = _on_end
        threading.excepthook = _on_thread_end


def ends(reason: str) -> bool:
    """Log why the process ends, where its log is JSON; False where it is text, for a person."""
    if not any(isinstance(each.formatter, JsonLines) for each in logging.getLogger().handlers):
        return False
    logger.error("%s", reason)
    return True


@contextmanager
def about(*, everywhere: bool = False, **ids: object) -> Iterator[None]:
    """Say with every line that is logged in the block what it is about.

    Threads started by `tuner.background.duty` say so too; with `everywhere` all of the process.
    """
    global _process  # noqa: PLW0603  # a process does one thing at a time, or does not say so
    if everywhere:
        before, _process = _process, {**_process, **ids}
        try:
            yield
        finally:
            _process = before
        return
    token = _context.set({**_context.get(), **ids})
    try:
        yield
    finally:
        _context.reset(token)


def current() -> dict[str, Any]:
    """What a line that is logged now would say that it is about."""
    return {**_process, **_context.get()}


class JsonLines(logging.Formatter):
    """One JSON object a line, in ASCII, so that no text of others can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line without its end."""
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = {name: vars(record)[name] for name in IDS if name in vars(record)}
        line |= {**current(), **given}
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):
            with suppress(ValueError):
                line |= dict(zip(_ACCESS, record.args, strict=True))
        if record.exc_info:
            line.update(exception=self.formatException(record.exc_info))
        if record.stack_info:
            line.update(stack=self.formatStack(record.stack_info))
        return json.dumps(line, default=str)


def readable(output: str) -> str:
    """A process's output with its JSON lines as text; all other lines stay as they are."""
    return "".join(_text(each) for each in output.splitlines(keepends=True))


def _text(line: str) -> str:
    if not line.startswith('{"time"'):
        return line
    try:
        return _sentence(**json.loads(line))
    except (ValueError, TypeError, AttributeError):
        return line


def _sentence(
    *,
    time: str,
    level: str,
    logger: str,
    message: str,
    exception: str = "",
    stack: str = "",
    **_: Any,
) -> str:
    said = f"{time} {level.upper():<7} {logger}: {message}"
    return "\n".join(part for part in (said, exception, stack) if part) + "\n"


def _rfc3339(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _on_end(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("the process ends", exc_info=(kind, error, traceback))


def _on_thread_end(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or issubclass(ended.exc_type, SystemExit):
        return
    name = ended.thread.name if ended.thread is not None else "of an unknown name"
    found = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    logger.error("the thread %s ends", name, exc_info=found)
