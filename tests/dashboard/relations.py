"""Trials over a space of every kind of param, as charts of how params and results relate have."""

from typing import Any

from hypothesis import strategies as st

from tests.dashboard.scenes import document
from tuner.configs import checks
from tuner.service.trial_fields import TrialFields
from tuner.service.trial_points import StudyPoints, TrialPoint
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec

SPACE = {
    "model.decoder": {"choice": ["ocr", "deeplabv3plus"]},
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.lr": {"float": [1e-5, 0.1], "log": True},
    "optimizer.momentum": {"float": [0.5, 0.99], "when": {"optimizer.name": "sgd"}},
    "training.batch_size": {"choice": [4, 8, 16]},
    "training.epochs": {"int": [6, 12]},
}


def spec(**changes: Any) -> StudySpec:
    """A study over them."""
    written = document("relations") | {"space": SPACE} | changes
    return checks.parse(written)


def study(*trials: TrialPoint, direction: str = "maximize", metric: str = "miou") -> StudyPoints:
    """These trials of a study."""
    found = spec()
    return StudyPoints(
        id=1,
        name="relations",
        space=found.space,
        objective=Objective(metric=metric, direction=direction),
        trials=trials,
        fields=TrialFields(found, ("throughput",)),
    )


def trial(number: int, value: float | None = None, **details: Any) -> TrialPoint:
    """A trial that completed, unless it says otherwise."""
    params = {"optimizer.name": "adamw", "optimizer.lr": 1e-3, **details.pop("params", {})}
    state = details.pop("state", TrialState.COMPLETED)
    return TrialPoint(number, state, value, 12, params, **details)


@st.composite
def trials(draw: st.DrawFn, *, most: int = 20) -> tuple[TrialPoint, ...]:
    """Some trials of every state, some without a value, some without a param."""
    found = []
    for number in range(draw(st.integers(0, most))):
        name = draw(st.sampled_from(["sgd", "adamw"]))
        params: dict[str, Any] = {
            "model.decoder": draw(st.sampled_from(["ocr", "deeplabv3plus"])),
            "optimizer.name": name,
            "optimizer.lr": draw(st.floats(1e-5, 0.1)),
            "training.batch_size": draw(st.sampled_from([4, 8, 16])),
            "training.epochs": draw(st.integers(6, 12)),
        }
        if name == "sgd":
            params["optimizer.momentum"] = draw(st.floats(0.5, 0.99))
        found.append(
            TrialPoint(
                number=number,
                state=draw(st.sampled_from(list(TrialState))),
                value=draw(st.none() | st.floats(-1e6, 1e6)),
                step=12,
                params=params,
                feasible=draw(st.sampled_from([True, False, None])),
                matches=draw(st.booleans()),
            )
        )
    return tuple(found)
