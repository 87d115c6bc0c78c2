"""What only a CUDA device can show. `make gpu` runs it there; elsewhere it is skipped.

These files need no server: on a machine with its own torch `requirements-gpu.txt` lists the rest.
"""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers import devices

_WHY = "no CUDA device on this machine; `make gpu` runs these tests where there is one"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip where there is no GPU; as a part of the whole suite, leave them out of its count."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    if not here or devices.gpus():
        return
    if len(here) < len(items):
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in set(here)]
    for item in here:
        item.add_marker(pytest.mark.skip(reason=_WHY))


@pytest.fixture
def device() -> Iterator[str]:
    """The GPU, with nothing of another test's in its memory."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    yield "cuda:0"
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.fixture
def scenes(tmp_path: Path):  # type: ignore[no-untyped-def]  # torch is not named before it is there
    """Synthetic street scenes, decoded."""
    from tests.gpu.runs import CONFIG
    from tuner.training.data.load import load

    return load(CONFIG.dataset, cache=tmp_path / "cache")
