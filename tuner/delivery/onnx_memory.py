"""How much memory a process takes to run an ONNX file: asked of one that does nothing else.

Started as `python -m tuner.delivery.onnx_memory FILE THREADS`; it writes a number of bytes. A
process that has trained before would say little: what was freed in it is taken again.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil

from tuner.delivery.needs import require
from tuner.errors import OutOfMemory

_RUNS = 3
_SECONDS = 300.0  # a process that takes longer hangs
_LINES = 3
_ERRORS_ONLY = 3


def resident_bytes(path: Path, *, threads: int) -> int:
    """By how much the resident memory of a new process grows from opening a file to its results.

    onnxruntime's arena keeps what an inference needed, so that the growth is that of the worst
    moment of an inference: weights as they were prepared, values, and what kernels take for
    themselves.

    Raises:
        OutOfMemory: the process was killed, as a system does that has no memory left.
        RuntimeError: it ended with another error, or did not end.
    """
    command = [sys.executable, "-m", __name__, str(path), str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"it did not end within {_SECONDS:g} s") from error
    if done.returncode < 0:
        raise OutOfMemory(
            f"the process that runs one image in onnxruntime was killed (signal "
            f"{-done.returncode}), as happens where memory ends; use a smaller model, or a "
            "smaller deployment.size"
        )
    if done.returncode:
        said = " ".join(done.stderr.strip().splitlines()[-_LINES:])[:500]
        raise RuntimeError(f"in a process of its own: {said}")
    return int(done.stdout.split()[-1])


def _growth(path: Path, threads: int) -> int:
    """Bytes that this process takes more once it has run the file than before it opened it."""
    runtime = require("onnxruntime", purpose="measuring in onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    memory = psutil.Process().memory_info
    before = memory().rss
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    images = np.full(given.shape, 127, np.float32)
    most = before
    for _ in range(_RUNS):
        result = session.run(None, {given.name: images})
        most = max(most, memory().rss)
        del result
    return most - before


if __name__ == "__main__":
    sys.stdout.write(f"{_growth(Path(sys.argv[1]), int(sys.argv[2]))}\n")
