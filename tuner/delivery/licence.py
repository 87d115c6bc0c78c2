"""The licence of the weights that a network began with, where timm knows it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from timm.models import get_pretrained_cfg

from tuner.spec.config import TrialConfig

UNKNOWN = "unknown"


def licence(config: TrialConfig, provenance: Mapping[str, Any]) -> str:
    """The licence that timm records for pretrained weights; none began it, or `unknown`."""
    if config.model.weights == "none":
        return "no published weights were used; it is yours to choose"
    weights = provenance.get("weights")
    source = str(weights.get("source", "")) if isinstance(weights, Mapping) else ""
    found = None
    with suppress(RuntimeError):  # a tag that timm does not know
        found = getattr(get_pretrained_cfg(source), "license", None)
    if config.model.weights != "pretrained" or not found:
        return UNKNOWN
    return f"{found} (published weights {source}, as timm records it)"
