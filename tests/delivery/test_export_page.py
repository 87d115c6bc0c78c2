"""The example of docs/export.md runs as it stands, without segtune."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.delivery import small
from tests.house.tree import text
from tuner.delivery.export.write import export


def test_the_example_for_onnxruntime_runs(tmp_path: Path) -> None:
    """The snippet of docs/export.md counts the pixels of each class of an exported file."""
    export(small.model("fcn"), tmp_path / "model.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    (snippet,) = re.findall(r"```python\n(.*?)```", text("docs/export.md"), flags=re.DOTALL)

    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    counts = ast.literal_eval(done.stdout)
    assert set(counts) <= {"sky", "road", "car"}
    logits = small.model("fcn").logits(small.images())
    assert sum(counts.values()) == logits[0, 0].numel()
