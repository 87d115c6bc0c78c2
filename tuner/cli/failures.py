"""What the command line says of an error, and the code that it exits with."""

from tuner.errors import (
    Conflict,
    DataError,
    Forbidden,
    InvalidInput,
    Malformed,
    NotFound,
    SegtuneError,
    ServerBusy,
    ServerUnreachable,
    Unauthorized,
    UnsupportedVersion,
)
from tuner.wording import quantity

FAILED = 1
BAD_INPUT = 2
UNREACHABLE = 3

# The first class that fits decides.
_CODES: tuple[tuple[type[Exception], int], ...] = (
    (ServerUnreachable, UNREACHABLE),
    (InvalidInput, BAD_INPUT),
    (Malformed, BAD_INPUT),
    (NotFound, BAD_INPUT),
    (Conflict, BAD_INPUT),
    (Unauthorized, BAD_INPUT),
    (Forbidden, BAD_INPUT),
    (UnsupportedVersion, BAD_INPUT),
    (DataError, BAD_INPUT),
)
_HINTS: tuple[tuple[type[Exception], str], ...] = (
    (ServerBusy, "wait, or let the server's operator raise its limits"),
    (
        ServerUnreachable,
        "is `segtune up` running? --server or SEGTUNE_SERVER names another server",
    ),
    (Unauthorized, "give the server's token with --token or SEGTUNE_TOKEN"),
)


def explain(error: SegtuneError | OSError) -> tuple[str, int]:
    """Give the message for a person and the exit code."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), None)
    message = f"error: {_text(error)}"
    return (f"{message}\nhint: {hint}" if hint else message), code


def _text(error: SegtuneError | OSError) -> str:
    if isinstance(error, InvalidInput) and error.problems:
        if len(error.problems) == 1:
            return str(error.problems[0])
        listed = "\n".join(f"  - {problem}" for problem in error.problems)
        return f"{quantity(len(error.problems), 'problem')}\n{listed}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
