"""The end of a log as it may be shown: bounded, of whole lines, nothing but text; pure."""

import re
from collections.abc import Collection
from typing import Final

LINES: Final = 200
BYTES: Final = 16_384
HIDDEN: Final = "•••"
# What a terminal obeys: CSI (colours, cursor), OSC and its like (titles, links), other escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
)
# Control characters but line feed and tab, what turns the direction of text around, surrogates.
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+(?=@)")  # of an address
_SHORTEST = 6  # characters of a secret: less may be any word


def tail(text: str, *, secrets: Collection[str] = (), is_cut: bool = False) -> str:
    """The last lines of a log, 200 and 16 KiB of UTF-8 at most, fit to be stored and shown.

    Args:
        secrets: texts that must not be in it.
        is_cut: whether the text begins within a line, which is then left out.
    """
    if is_cut:
        text = text.partition("\n")[2] or text
    text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = "\n".join(map(_as_drawn, text.split("\n")))
    text = _CREDENTIALS.sub(HIDDEN, _UNSHOWN.sub("", text))
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return _last(text)


def _as_drawn(line: str) -> str:
    """What a terminal shows of a line that begins anew, such as a progress bar's."""
    return line.rstrip("\r").rpartition("\r")[2]


def _last(text: str) -> str:
    """The last whole lines that the bounds allow; of one that is longer than they are its end."""
    is_whole = text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")[-LINES:]
    size, kept = 0, list[str]()
    for line in reversed(lines):
        size += len(line.encode()) + 1
        if size > BYTES:
            break
        kept.append(line)
    if not kept:
        return lines[-1].encode()[-BYTES:].decode("utf-8", errors="ignore")
    return "\n".join(reversed(kept)) + ("\n" if is_whole else "")
