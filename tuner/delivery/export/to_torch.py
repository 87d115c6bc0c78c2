"""Writes TorchScript, and programs of `torch.export`, with the model's facts in an extra file."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from tuner.delivery.export.graph import Graph, record, recorded_on, recording
from tuner.delivery.facts import KEY, Facts


def write_script(graph: Graph, facts: Facts, path: Path) -> None:
    """Trace a network and write it as TorchScript."""
    jit: Any = torch.jit
    with recording():
        traced = jit.trace(graph, recorded_on(facts), check_trace=False)
        # By a buffer: torch takes no file whose name begins with a dot, as a draft's does.
        path.write_bytes(traced.save_to_buffer(_extra_files={KEY: facts.text()}))


def write_program(graph: Graph, facts: Facts, path: Path) -> None:
    """Record a network and write it as a `.pt2`; recurrent layers keep the recorded sizes."""
    program = record(graph, facts)
    content = BytesIO()
    with recording():
        torch.export.save(program, content, extra_files={KEY: facts.text()})
    path.write_bytes(content.getbuffer())
