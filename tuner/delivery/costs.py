"""What the network of a config costs on this machine: measured once, then remembered on disk."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import torch
from pydantic import ValidationError

from tuner import notes
from tuner.configs.architecture import has_own_shapes, signature
from tuner.delivery.measure import Effort, measure
from tuner.delivery.measure_onnx import check_runtime
from tuner.spec.config import TrialConfig
from tuner.spec.deployment import Deployment, Measured, Measurements
from tuner.training.determinism import DeviceContext
from tuner.training.network import model
from tuner.training.network.model import SegmentationModel
from tuner.training.network.weight_files import digest_of, locate

logger = logging.getLogger(__name__)
_FILE = "measurements.json"


def measured(
    config: TrialConfig,
    deployment: Deployment,
    *,
    channels: int,
    context: DeviceContext,
    roots: Sequence[Path] = (),
    effort: Effort = Effort(),  # noqa: B008  # frozen
) -> Measured:
    """What the config's network costs at a deployment, from the cache if it was measured before.

    The context says which device of the deployment's class. Weights are read only where a file has
    them, which must lie under one of `roots`: it may hold a pruned network. Others are not
    fetched: values cost nothing.

    Raises:
        WeightsUnavailable: the weights file is not there.
        PackageMissing, OutOfMemory, TrainingError: as `measure` does, or the file does not fit.
    """
    asked = deployment.at(config.dataset.size)
    plain = config if has_own_shapes(config) else _without_weights(config)
    key = _key(plain, asked, channels, context, roots)
    known = _recall(context.cache, key)
    if known is None:
        statistics = {"mean": [0.0] * channels, "std": [1.0] * channels}
        network = model.build(plain, **statistics, roots=roots)
        known = _measure_now(network, asked, context, effort)
        notes.keep(context.cache, _FILE, key, known.model_dump(mode="json"))
    return Measured(measurements=known, device=context.name)


def _without_weights(config: TrialConfig) -> TrialConfig:
    settings = config.model.model_copy(update={"weights": "none"})
    return config.model_copy(update={"model": settings})


def _measure_now(
    network: SegmentationModel, deployment: Deployment, context: DeviceContext, effort: Effort
) -> Measurements:
    is_ours = context.device.startswith(deployment.device)
    assert deployment.size is not None
    found = measure(
        network,
        size=deployment.size,
        channels=network.channels,
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


def _key(
    config: TrialConfig,
    deployment: Deployment,
    channels: int,
    context: DeviceContext,
    roots: Sequence[Path],
) -> str:
    facts: tuple[object, ...] = (signature(config), deployment.key, channels, context.name)
    facts += (torch.__version__,)
    if has_own_shapes(config):  # the signature has its name, at which another file may lie by now
        facts += (digest_of(locate(config.model.weights, roots)),)
    if deployment.runtime == "onnxruntime":
        facts += (check_runtime(deployment),)
    return sha256(repr(facts).encode()).hexdigest()[:32]


def _recall(cache: Path | None, key: str) -> Measurements | None:
    with suppress(ValidationError):
        return Measurements.model_validate(notes.recall(cache, _FILE, key))
    return None
