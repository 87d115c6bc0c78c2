"""Surrogates of YAHPO Gym: networks in the form of ONNX, from params to what a training gives."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def predict(model: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """What the model in that file says of each row, N×outputs, on one thread."""
    found: NDArray[np.float32] = _session(model).run(None, dict(inputs))[0]
    return found


@cache
def _session(model: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
