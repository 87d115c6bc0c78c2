"""The memory that onnxruntime takes for a file, asked of a process that does nothing else."""

import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from tuner.delivery.onnx_memory import resident_bytes
from tuner.errors import OutOfMemory

MIB = 2**20


def one_operator(path: Path, side: int) -> Path:
    """Write a file that takes an image of that side and gives its values' signs."""
    from onnx import TensorProto, helper, save_model

    node = helper.make_node("Sign", ["images"], ["signs"])
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, side, side))
        for name in ("images", "signs")
    ]
    graph = helper.make_graph([node], "sign", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    save_model(model, str(path))
    return path


def test_it_grows_with_what_is_computed(tmp_path: Path) -> None:
    """By the result of 48 MiB at least, and not by much more."""
    small = resident_bytes(one_operator(tmp_path / "small.onnx", 16), threads=1)
    large = resident_bytes(one_operator(tmp_path / "large.onnx", 2048), threads=1)
    assert 0 < small < 100 * MIB
    assert 47 * MIB < large - small < 120 * MIB


def test_a_file_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    """What onnxruntime says of it is in the message, without the lines of a traceback."""
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(RuntimeError, match=r"in a process of its own: .*broken.onnx") as raised:
        resident_bytes(broken, threads=1)
    assert "\n" not in str(raised.value)


def test_a_killed_process_had_no_memory_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The system kills without a word; the message says what to make smaller."""
    killed = subprocess.CompletedProcess([], returncode=-9, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", Mock(return_value=killed))
    with pytest.raises(OutOfMemory, match=r"signal 9.*smaller deployment.size"):
        resident_bytes(tmp_path / "network.onnx", threads=1)


def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is killed after some minutes."""
    hangs = Mock(side_effect=subprocess.TimeoutExpired([], 300))
    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(RuntimeError, match="did not end within 300 s"):
        resident_bytes(tmp_path / "network.onnx", threads=1)
    assert hangs.call_args.kwargs["timeout"] == 300
