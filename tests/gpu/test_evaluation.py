"""Evaluation on a GPU: deterministic kernels only, and what the processor gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.gpu.runs import CONFIG
from tuner.delivery.evaluation.inference import Inference
from tuner.delivery.evaluation.robustness import disturb
from tuner.delivery.evaluation.scoring import Pass, score
from tuner.delivery.trained import TrainedModel
from tuner.training.data.parts import open_part
from tuner.training.determinism import DeviceContext, applied
from tuner.training.network import model


def test_a_gpu_scores_as_the_processor_does(device: str, tmp_path: Path) -> None:
    """Whole and by windows, but for pixels between two classes; what disturbs is the same."""
    part = open_part(CONFIG.dataset, "val", cache=tmp_path)
    network = model.build(CONFIG, mean=(120.0,) * 3, std=(60.0,) * 3).eval()
    for inference in (Inference(), Inference("sliding", scales=(1.0, 0.5), flip=True)):
        found = []
        for place in ("cpu", device):
            opened = TrainedModel(network.to(place), CONFIG, "model", "", place)
            run = Pass(opened, part, inference, at_once=2, context=DeviceContext(device=place))
            with applied("exact", run.context):
                found.append((score(run), disturb(replace(run, inference=Inference()))))
        (cpu, calm), (gpu, moved) = found
        counts = np.array([cpu.confusion, gpu.confusion])
        assert counts[0].sum() == counts[1].sum()
        assert np.abs(counts[0] - counts[1]).sum() <= 0.01 * counts[0].sum()
        assert abs(cpu.calibration.ece - gpu.calibration.ece) < 0.01
        for one, other in zip(calm.consistency, moved.consistency, strict=True):
            assert abs(one.share - other.share) < 0.01
