"""What a network heeds while it is exported: sizes are symbols then, and nothing may be kept."""

import torch


def is_traced() -> bool:
    """Whether torch records what runs, for TorchScript, ONNX or `torch.export`.

    A branch on a size would hold for every size then, and a tensor that is kept would be a symbol.
    """
    exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]  # not typed
    return bool(tracing or exporting())


def ceil_div(number: int, by: int) -> int:
    """A quotient of positive numbers, rounded up; ONNX would round `-(-a // b)` down."""
    return (number - 1) // by + 1
