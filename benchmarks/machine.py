"""What a benchmark says of the machine, and how it prints its result."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any


def describe(*packages: str) -> dict[str, str]:
    """Machine, date and versions, for the record beside the figures."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpus": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def conclude(result: Mapping[str, Any]) -> None:
    """Print the result as one JSON object: the last line of every benchmark."""
    print(json.dumps(result, sort_keys=True))


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
