"""Bars: a share of a whole, and trials by state."""

from collections.abc import Mapping

from markupsafe import Markup

from api.dashboard.charts.frame import finite
from api.dashboard.charts.svg import element, percent
from api.dashboard.words import gettext as _


def draw_bar(share: float | None, *, kind: str = "value") -> Markup:
    """A horizontal bar filled to a share of 1."""
    filled = min(1.0, max(0.0, finite(share) or 0.0))
    track = element("rect", class_="track", width="100%", height="100%", rx="2")
    fill = element("rect", class_=kind, width=percent(filled), height="100%", rx="2")
    return element("svg", track, fill, class_="bar", aria_hidden="true")


def draw_stack(counts: Mapping[str, int], total: int) -> Markup:
    """A bar of segments, one per state in the given order, on a track of `total`."""
    whole = max(total, sum(counts.values()), 1)
    parts, start = [], 0
    for state, count in counts.items():
        if count:
            parts.append(
                element(
                    "rect",
                    element("title", f"{count:,} {_(state)}"),
                    class_=state,
                    x=percent(start / whole),
                    width=percent(count / whole),
                    height="100%",
                )
            )
        start += count
    said = _(", ").join(f"{count} {_(state)}" for state, count in counts.items() if count)
    track = element("rect", class_="track", width="100%", height="100%")
    label = _("Trials: %(said)s, of %(total)s") % {"said": said or _("none yet"), "total": total}
    return element("svg", track, *parts, class_="bar stack", role="img", aria_label=label)
