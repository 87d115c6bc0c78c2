"""Words for names that are wrong: the ones that were probably meant, or all that are right."""

from collections.abc import Sequence
from difflib import get_close_matches

_SHOWN = 100
_LONGEST = 100  # characters: a longer word is close to no name, and takes long to compare


def nearest(word: str, valid: Sequence[str], *, prefix: str = "") -> str:
    """Words for an error message: the names close to a wrong one, or all of them.

    Case does not count. `prefix` is what every name is written after; it makes none of them closer.
    """
    names = {name.lower(): name for name in reversed(valid)}
    word = word.lower() if len(word) <= _LONGEST else ""
    found = get_close_matches(word, list(names), n=3, cutoff=0.6)
    if close := [names[lowered] for lowered in found]:
        return "did you mean " + " or ".join(f"'{prefix}{name}'" for name in close) + "?"
    shown = [prefix + name for name in valid[:_SHOWN]] + ["…"] * (len(valid) > _SHOWN)
    return "valid are: " + ", ".join(shown)
