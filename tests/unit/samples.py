"""Studies for tests: one document to change, and strategies for spaces and histories."""

import math
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests import samples
from tuner.search.observation import Observation
from tuner.spec.space import Params
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

few = settings(max_examples=30, deadline=None)

SPACE: dict[str, Any] = {
    "model.decoder": {"choice": ["ocr", "deeplabv3plus"]},
    "model.encoder": [
        {"choice": ["hrnet_w18_small", "resnet18"], "when": {"model.decoder": "ocr"}},
        {"choice": ["resnet18", "mobilenet_v2"], "when": {"model.decoder": "deeplabv3plus"}},
    ],
    **samples.SPACE,
}


def document(**changes: Any) -> dict[str, Any]:
    """A study as users write it; `changes` replace top-level keys."""
    return {
        "name": "streets",
        "dataset": {**samples.DATASET},
        "base": {"training": {"epochs": 20}},
        "space": SPACE,
        "search": {"trials": 20},
        **changes,
    }


def study(**changes: Any) -> StudySpec:
    """The same, parsed."""
    return StudySpec.model_validate(document(**changes))


def toy_value(params: Params) -> float:
    """An objective to maximize that depends on the params alone."""
    lr = float(params.get("optimizer.lr", 0.01))
    rotate = float(params.get("augment.rotate", 0))
    return 0.7 - abs(math.log10(lr) + 2) / 10 - abs(rotate - 10) / 100


def completed(number: int, params: Params, value: float | None = None) -> Observation:
    """A trial that was trained to its end, with the toy objective unless a value is given."""
    final = toy_value(params) if value is None else value
    return Observation(number, TrialState.COMPLETED, params, (final,), {1: final})


@st.composite
def _floats(draw: st.DrawFn, low: float, high: float) -> dict[str, Any]:
    """A real range within bounds above zero: plain, logarithmic or stepped."""
    unit = (high - low) / 100
    start = low + unit * draw(st.integers(0, 30))
    end = high - unit * draw(st.integers(0, 30))
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind != "step":
        return {"float": [start, end], "log": kind == "log"}
    # As people write steps: decimals, of which the last need not reach the end.
    start, step = round(start, 7), round((end - start) / draw(st.integers(2, 6)), 7)
    return {"float": [start, round(end, 7)], "step": step}


@st.composite
def _ints(draw: st.DrawFn, low: int, high: int) -> dict[str, Any]:
    start = draw(st.integers(low, (low + high) // 2))
    end = draw(st.integers(start + 1, high))
    step = draw(st.integers(1, end - start))
    return {"int": [start, end], "step": step}


def _some(*values: Any) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(st.sampled_from(values), min_size=1, unique_by=repr)
    return lists.map(lambda chosen: {"choice": chosen})


_BLOCKS: tuple[st.SearchStrategy[dict[str, Any]], ...] = (
    st.fixed_dictionaries({"optimizer.weight_decay": _floats(1e-6, 1e-2)}),
    st.fixed_dictionaries({"training.batch_size": _some(4, 8, 16) | _ints(2, 64)}),
    st.fixed_dictionaries({"augment.rotate": _ints(0, 30)}),
    st.fixed_dictionaries({"augment.scale": _some([0.5, 2.0], [0.75, 1.5], [1.0, 1.0])}),
    st.fixed_dictionaries({"schedule.warmup": _floats(0.01, 0.2)}),
    st.fixed_dictionaries({"training.ema": _some(None, 0.9, 0.99)}),
    st.fixed_dictionaries(
        {
            "model.decoder": st.just(SPACE["model.decoder"]),
            "model.encoder": st.just(SPACE["model.encoder"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "schedule.name": st.just({"choice": ["poly", "cosine"]}),
            "schedule.power": _floats(0.5, 2.0).map(
                lambda power: {**power, "when": {"schedule.name": "poly"}}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "optimizer.name": st.just({"choice": ["sgd", "adamw"]}),
            "optimizer.lr": st.tuples(_floats(1e-3, 1e-1), _floats(1e-5, 3e-3)).map(
                lambda pair: [
                    {**pair[0], "when": {"optimizer.name": "sgd"}},
                    {**pair[1], "when": {"optimizer.name": "adamw"}},
                ]
            ),
            "optimizer.momentum": st.just(
                {"choice": [0.0, 0.9, 0.99], "when": {"optimizer.name": "sgd"}}
            ),
            "optimizer.nesterov": st.just(
                {"choice": [True, False], "when": {"optimizer.momentum": [0.9, 0.99]}}
            ),
        }
    ),
)


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of valid search spaces, with alternatives and conditions on conditions."""
    blocks = draw(st.lists(st.sampled_from(_BLOCKS), min_size=1, max_size=5, unique_by=id))
    return {path: ranges for block in blocks for path, ranges in draw(block).items()}
