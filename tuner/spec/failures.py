"""What a failed attempt said, short enough for a line, and what of it others would say too."""

import re
from collections.abc import Collection

_TRACEBACK = "Traceback (most recent call last)"
_READ = 2_000  # characters of a message; more says no more, and takes longer
_KEPT = 300
_SUFFIXES = "png|jpe?g|tiff?|bmp|webp|npy|npz|json|ya?ml|csv|txt|pth?|ckpt|safetensors|onnx|py|so"
_IN_PATH = r"[\w.~+@=-]"
_VARIABLE = (
    (re.compile(r"\b\w+://[^\s'\"]+"), "…"),
    (re.compile(r"""(?<!\w)(['"])[^'"/\\]*[/\\][^'"]*\1"""), "…"),  # a path may have spaces
    # Each begins where a word or a row of slashes does, so that long ones are read once.
    (
        re.compile(
            rf"(?:\b[a-z]:)?(?:(?<!{_IN_PATH}){_IN_PATH}+|(?<![/\\]))(?:[/\\]+{_IN_PATH}+)+[/\\]?",
            re.I,
        ),
        "…",
    ),
    (re.compile(rf"(?<!{_IN_PATH}){_IN_PATH}+\.(?:{_SUFFIXES})\b", re.I), "…"),
    (re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b", re.I), "#"),
    # Digests and ids: letters and digits, so that no word is one.
    (re.compile(r"(?<![\w.])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}(?!\w|[.+-]\d)", re.I), "#"),
    (re.compile(r"(?:(?<![\w)])[-+])?\d+(?:[.,_]\d+)*(?:e[-+]?\d+)?", re.I), "#"),
    (re.compile(r"(?:(?<![\w)])[-+])?\b(?:nan|inf|infinity)\b", re.I), "#"),
    (re.compile(r"#(?:(?:\s*[,;:x×*.]\s*|\s+)#)+"), "#"),  # however many numbers there are
    (re.compile(r"(?<=# )(\w{3,}?)s\b"), r"\1"),  # 1 image, 2 images
)


def gist(error: str, length: int = 300) -> str:
    """The message of an error text, without its traceback, in one line of that length at most."""
    lines = error.strip().splitlines()
    if lines and lines[0].startswith(_TRACEBACK):
        message = lines[-1]  # Python puts the message last
    else:
        message = error.strip().split("\n\n", 1)[0]
    text = " ".join(message.split())
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def essence(message: str, drawn: Collection[str] = ()) -> str:
    """What a message says without numbers, paths, addresses and the drawn values given."""
    text = gist(message, _READ)
    for value in sorted(drawn, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text)
    for pattern, instead in _VARIABLE:
        text = pattern.sub(instead, text)
    return " ".join(text.split())[:_KEPT]
