"""Lists of file names as other systems write them: byte order marks, line ends, backslashes."""

import re
from pathlib import Path

from tuner.errors import DataError

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# A blank that parts two names stands after a type, as in `a b.jpg a b.png`.
_BETWEEN = re.compile(r"(?<=\.jpg|\.png|\.bmp|\.tif|\.gif)\s+|\t+", re.IGNORECASE)


def lines(path: Path) -> list[list[str]]:
    """The names on each line that is not empty: one name, or an image's and its mask's.

    A name may hold blanks. Raises DataError.
    """
    content = path.read_bytes()
    coding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(coding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name}: is not text in UTF-8 ({error.reason} at byte {error.start}); save the "
            "list as UTF-8"
        ) from error
    words = [line.strip() for line in text.replace("\\", "/").splitlines()]
    return [
        [name.strip() for name in _BETWEEN.split(line) if name.strip()] for line in words if line
    ]
