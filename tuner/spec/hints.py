"""Words for names that are wrong: the ones that were probably meant, or all that are right."""

from collections.abc import Sequence
from difflib import get_close_matches

_SHOWN = 100


def nearest(word: str, valid: Sequence[str]) -> str:
    """Words for an error message: the names close to a wrong one, or all of them."""
    close = get_close_matches(word, valid, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"'{name}'" for name in close) + "?"
    shown = [*valid[:_SHOWN], "…"] if len(valid) > _SHOWN else valid
    return "valid are: " + ", ".join(shown)
