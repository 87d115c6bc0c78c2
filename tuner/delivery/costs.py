"""What the network of a config costs on this machine: measured once, then remembered on disk."""

import json
import logging
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from pydantic import ValidationError

from tuner.atomic import replacing
from tuner.configs.architecture import signature
from tuner.delivery.measure import Effort, measure
from tuner.delivery.measure_onnx import check_runtime
from tuner.spec.config import TrialConfig
from tuner.spec.deployment import Deployment, Measured, Measurements
from tuner.training.determinism import DeviceContext
from tuner.training.network import model

logger = logging.getLogger(__name__)
_FILE = "measurements.json"


def measured(
    config: TrialConfig,
    deployment: Deployment,
    *,
    channels: int,
    context: DeviceContext,
    effort: Effort = Effort(),  # noqa: B008  # frozen
) -> Measured:
    """What the config's network costs at a deployment, from the cache if it was measured before.

    The context says which device of the deployment's class, and how many threads where the
    deployment leaves that open. No weights are fetched: their values cost nothing.

    Raises:
        PackageMissing, OutOfMemory, TrainingError: as `measure` does.
    """
    threads = None if deployment.device == "cuda" else deployment.threads or context.threads
    asked = deployment.at(config.dataset.size).model_copy(update={"threads": threads})
    key = _key(config, asked, channels, context)
    known = _recall(context.cache, key)
    if known is None:
        known = _measure_now(config, asked, channels, context, effort)
        _remember(context.cache, key, known)
    return Measured(measurements=known, device=context.name)


def _measure_now(
    config: TrialConfig,
    deployment: Deployment,
    channels: int,
    context: DeviceContext,
    effort: Effort,
) -> Measurements:
    settings = config.model.model_copy(update={"weights": "none"})
    plain = config.model_copy(update={"model": settings})
    network = model.build(plain, mean=[0.0] * channels, std=[1.0] * channels)
    is_ours = context.device.startswith(deployment.device)
    assert deployment.size is not None
    found = measure(
        network,
        size=deployment.size,
        channels=channels,
        deployment=deployment,
        effort=effort,
        device=context.device if is_ours else deployment.device,
    )
    logger.info(
        "measured (%s): latency %.2f ms, p95 %.2f ms, %.1f MB, %d parameters, %d MACs",
        deployment,
        found.latency_ms,
        found.latency_p95_ms,
        found.memory_mb,
        found.parameters,
        found.macs,
    )
    return found


def _key(config: TrialConfig, deployment: Deployment, channels: int, context: DeviceContext) -> str:
    facts: tuple[object, ...] = (signature(config), deployment.key, channels, context.name)
    facts += (torch.__version__,)
    if deployment.runtime == "onnxruntime":
        facts += (check_runtime(deployment),)
    return sha256(repr(facts).encode()).hexdigest()[:32]


def _recall(cache: Path | None, key: str) -> Measurements | None:
    if cache is None:
        return None
    with suppress(ValidationError):
        return Measurements.model_validate(_noted(cache).get(key))
    return None


def _remember(cache: Path | None, key: str, found: Measurements) -> None:
    if cache is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / _FILE
    with FileLock(f"{path}.lock"):
        noted = _noted(cache) | {key: found.model_dump(mode="json")}
        with replacing(path) as draft:
            draft.write_text(json.dumps(noted, indent=1, sort_keys=True), encoding="utf-8")


def _noted(cache: Path) -> dict[str, Any]:
    """Losing the file costs one measurement per network, so that a damaged one counts as empty."""
    with suppress(OSError, ValueError):
        noted = json.loads((cache / _FILE).read_text(encoding="utf-8"))
        if isinstance(noted, dict):
            return noted
    return {}
