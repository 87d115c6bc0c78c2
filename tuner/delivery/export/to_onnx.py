"""Writes ONNX: recorded by `torch.export`, named axes, the model's facts in `metadata_props`."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tuner.delivery.export.graph import Graph, dynamic_shapes, record, recorded_on, recording
from tuner.delivery.facts import KEY, Facts
from tuner.delivery.needs import require
from tuner.errors import InvalidInput, Problem

INPUT = "images"
DEFAULT_OPSET = 18  # the lowest that torch's exporter writes; what reads ONNX reads it
_AXES = {0: "batch", 2: "height", 3: "width"}


def check_opset(opset: int) -> None:
    """Raise InvalidInput where the installed exporter does not write this opset."""
    newest = require("onnx", purpose="export to ONNX").defs.onnx_opset_version()
    if not DEFAULT_OPSET <= opset <= newest:
        message = f"{opset} is not an opset that is written here; {DEFAULT_OPSET} to {newest} are"
        raise InvalidInput([Problem(("--opset",), message)])


def write(graph: Graph, facts: Facts, path: Path, *, opset: int = DEFAULT_OPSET) -> None:
    """Write a network as one ONNX file.

    Raises:
        PackageMissing: `onnx` or `onnxscript` is not installed.
        InvalidInput: the opset is not one that is written here.
        Exception: the network cannot be recorded with these axes; whatever torch raises.
    """
    onnx = require("onnx", purpose="export to ONNX")
    require("onnxscript", purpose="export to ONNX")
    check_opset(opset)
    model = _translated(graph, facts, opset)
    _name_axes(model)
    describe(model, facts)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)


def _translated(graph: Graph, facts: Facts, opset: int) -> Any:
    source: Any = graph
    how: dict[str, Any] = {"dynamo": True, "verbose": False, "opset_version": opset}
    names: dict[str, Any] = {"input_names": [INPUT], "output_names": [facts.gives]}
    if any(isinstance(part, nn.RNNBase) for part in graph.modules()):
        # Recurrent layers keep a free size only where torch.onnx records them itself.
        how["dynamic_shapes"] = dynamic_shapes(facts.dynamic_batch, facts.dynamic_size)
        how["args"] = (recorded_on(facts),)
    else:
        # Recorded outside of torch.onnx, within which SMP pools in another way than in training.
        source = record(graph, facts)
    with recording(), redirect_stdout(StringIO()):  # it talks of its progress there
        program = torch.onnx.export(source, **how, **names)
    assert program is not None
    return program.model_proto


def describe(model: Any, facts: Facts) -> None:
    """Put facts into an ONNX model in place of those that it has."""
    kept = [each for each in model.metadata_props if each.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=KEY, value=facts.text())
    model.producer_name, model.producer_version = KEY, facts.segtune
    model.doc_string = f"{facts.name}. Input {facts.input}. Output {facts.output}."


def _name_axes(model: Any) -> None:
    """Call the free axes batch, height and width, wherever sizes are computed from them."""
    shape = model.graph.input[0].type.tensor_type.shape
    names = {axis.dim_param: _AXES[index] for index, axis in enumerate(shape.dim) if axis.dim_param}
    if not names:
        return
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    for value in values:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = pattern.sub(lambda found: names[found[0]], axis.dim_param)
