"""Decoders export to ONNX, with any batch and size, and give what eager torch gives.

Those here have what is hard to export: pooling to a size, attention, windows, recurrence, resizing
to another feature map. `python -m benchmarks.export` holds every decoder against eager torch.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from tests.delivery import small
from tuner.configs import catalog
from tuner.delivery.export.write import export
from tuner.delivery.onnx_model import open_onnx

# Narrow layers: what is under test is the shape of the graph.
_NARROW = {"mid_channels": 8, "key_channels": 8, "low_channels": 8, "hidden": 4}


@pytest.mark.parametrize(
    "decoder", ["deeplabv3plus", "manet", "ocr", "reseg", "segformer", "upernet"]
)
def test_onnx_agrees_with_eager_at_any_size(decoder: str, tmp_path: Path) -> None:
    """Logits of onnxruntime are eager's, at sizes that no stride divides and other batches too."""
    known = catalog.find("decoder", decoder).options
    options: dict[str, Any] = {name: value for name, value in _NARROW.items() if name in known}
    trained = small.model(decoder, **options)

    exported = export(trained, tmp_path / "model.onnx", images=small.images())

    assert exported.notes == ()
    assert exported.agreement.equal == 1
    session = onnxruntime.InferenceSession(exported.path)
    for size, batch in (((32, 48), 1), ((61, 99), 3), ((160, 40), 1)):
        given = small.images(size, batch=batch)
        (found,) = session.run(None, {"images": given.numpy()})
        np.testing.assert_allclose(found, trained.logits(given), atol=1e-4, rtol=1e-4)
    opened = open_onnx(exported.path)
    assert torch.equal(opened.logits(given), torch.from_numpy(found))
    assert opened.classes == trained.classes
