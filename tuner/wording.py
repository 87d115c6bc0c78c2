"""How numbers, times, params and progress are put into words: the same in command and dashboard."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tuner.spec.metrics import MEASURED

if TYPE_CHECKING:  # the command line starts without pydantic
    from tuner.spec.views import StudyView

DASH = "–"
_SPANS = ((86_400 * 365, "y"), (86_400 * 30, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: object) -> str:
    """Any scalar as a short text: 0.51, 3.2e-4, 12,400; a dash for None and NaN."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _real(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _real(value: float) -> str:
    if not math.isfinite(value):
        return DASH
    size = abs(value)
    if size and (size < 1e-2 or size >= 1e5):
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    text = f"{value:.4g}" if size >= 1 else f"{value:.3f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(amount: float, thing: str) -> str:
    """A number of things: 1 seed, 3 seeds, 12,400 epochs, 2.5 hours, 2 classes."""
    text = number(amount) if isinstance(amount, int) else f"{amount:g}"
    if text == "1":
        return f"{text} {thing}"
    return f"{text} {thing}{'es' if thing.endswith('s') else 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names in a sentence: a, a and b, a, b and c, a, b, c and 2 more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    *others, last = names or ("",)
    return f"{', '.join(others)} and {last}" if others else last


def setting(value: object) -> str:
    """A value of a config: as `number`, but whole numbers without separators."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else number(value)


def measure(value: float) -> str:
    """A measured value of any size: as `metric`, but small ones keep their digits."""
    return number(value) if abs(value) < 1e-2 else metric(value)


def metric(value: float | None, digits: int = 3) -> str:
    """A metric with so many decimals, so that a column lines up: 0.512; large ones shorter."""
    if value is None or not math.isfinite(value):
        return DASH
    if abs(value) >= 100:
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.1f}"
    return f"{value:.{digits}f}"


def titled(name: str) -> str:
    """A metric with the unit it is measured in, where its name does not end with that."""
    unit = MEASURED.get(name, "")
    is_plain = not unit or name.endswith(f"_{unit.lower()}")
    return name if is_plain else f"{name} in {unit}"


def gain(difference: float | None, digits: int = 3) -> str:
    """A signed difference of metrics: +0.047, −0.012 (a real minus sign)."""
    if difference is None or not math.isfinite(difference):
        return DASH
    if round(difference, digits) == 0:
        return f"±{0:.{digits}f}"
    return f"{'+' if difference > 0 else '−'}{metric(abs(difference), digits)}"


def improvement(value: float | None, base: float | None) -> float | None:
    """The difference to trial 0, or None while one of the two is unknown."""
    return None if value is None or base is None else value - base


def better(direction: str) -> str:
    """`higher` or `lower`: where an objective of this direction is better."""
    return "higher" if direction == "maximize" else "lower"


def percent(share: float | None) -> str:
    """A share of 1 as 41 %; below one percent with a decimal."""
    if share is None or not math.isfinite(share):
        return DASH
    text = f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
    return text.replace("%", " %")


def duration(seconds: float | None) -> str:
    """Seconds as the two largest units: 45 s, 3 min 5 s, 2 h 10 min, 4 d 3 h."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    left = max(0, round(seconds))
    if left < 60:
        return f"{max(0.0, seconds):.1f} s" if 0 < seconds < 10 else f"{left} s"
    parts: list[tuple[int, str]] = []
    for span, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, span)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago: 12 s ago, 3 h ago, just now."""
    if moment is None:
        return DASH
    seconds = (now - moment).total_seconds()
    if seconds < 2:
        return "just now"
    for span, unit in _SPANS:
        if seconds >= span:
            return f"{int(seconds // span)} {unit} ago"
    return f"{int(seconds)} s ago"


def savings(study: "StudyView") -> str:
    """What pruning saved, of all that full trainings would have cost: `55 saved by pruning (44 %)`.

    With the time where it is known.
    """
    if not study.epochs_saved:
        return "none saved by pruning"
    share = percent(study.epochs_saved / (study.epochs + study.epochs_saved))
    time = f", ~{duration(study.seconds_saved)}" if study.seconds_saved else ""
    return f"{number(study.epochs_saved)} saved by pruning ({share}{time})"


def params(values: Mapping[str, Any]) -> str:
    """Params as `name=value` pairs, sorted by path, each by its shortest clear name."""
    names = short_paths(tuple(values))
    return " ".join(f"{names[path]}={setting(values[path])}" for path in sorted(values))


def short_paths(paths: Sequence[str]) -> Mapping[str, str]:
    """The shortest ending of each dotted path that no other path shares.

    A last part `name` says nothing by itself, so the section stands for it: `optimizer`.
    """
    return {path: _short(path, paths) for path in paths}


def _short(path: str, paths: Sequence[str]) -> str:
    parts = path.split(".")
    if parts[-1] == "name" and len(parts) > 1:
        return parts[-2]
    for length in range(1, len(parts)):
        ending = ".".join(parts[-length:])
        if sum(other == ending or other.endswith("." + ending) for other in paths) == 1:
            return ending
    return path
