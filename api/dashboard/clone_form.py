"""The form that enqueues a trial like another one with edited params; pure.

A path has a control for each range that it may have. Of these the one whose `when` holds counts,
by the values before it. Values outside of the space are taken, as by the API.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from api.dashboard.words import gettext as _
from tuner import wording
from tuner.configs.paths import split_path
from tuner.errors import Problem
from tuner.spec.space import AnyDimension, Choice, Int, same
from tuner.spec.study import StudySpec
from tuner.spec.views import TrialView

_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class ChoiceOption:
    """A value that can be chosen, as JSON, and what it is called."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Control:
    """How one path is set: a choice among `options`, a number from `low` to `high`, or JSON.

    `when` gives the values, as JSON, of which other paths must have one for it to count.
    """

    name: str
    path: str
    kind: Literal["choice", "number", "json"]
    value: str
    options: tuple[ChoiceOption, ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""

    @property
    def condition(self) -> str:
        """When it counts, in words; empty where it always does."""
        return ", ".join(
            f"{path} = {' / '.join(map(_label, values))}" for path, values in self.when.items()
        )


@dataclass(frozen=True, slots=True)
class CloneForm:
    """The controls, those that others depend on first; `problems` are of none of them."""

    controls: tuple[Control, ...]
    problems: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether anything was refused."""
        return bool(self.problems) or any(control.error for control in self.controls)


def clone_form(spec: StudySpec, trial: TrialView) -> CloneForm:
    """A control for each path that is searched, or that the trial sets, with the trial's values."""
    tree = trial.config.model_dump(mode="json")
    controls = []
    for path, index, dimension in spec.space.dimensions():
        section, key = split_path(path)
        active = spec.space.active(path, _settled(spec, trial, tree))
        value = trial.params.get(path, tree.get(section, {}).get(key))
        if active is not None and active[0] != index:
            value = None
        controls.append(_control(path, index, dimension, value))
    extra = [path for path in trial.params if path not in spec.space.root]
    controls += [Control(f"{path}@", path, "json", _json(trial.params[path])) for path in extra]
    return CloneForm(tuple(controls))


def read(form: CloneForm, given: Mapping[str, str]) -> tuple[dict[str, Any], CloneForm]:
    """The params that a filled form says, and the form as it was filled, each mistake in place."""
    params: dict[str, Any] = {}
    controls = []
    for control in form.controls:
        text = given.get(control.name, control.value).strip()
        filled, error = replace(_with_option(control, text), value=text), ""
        if _counts(control, params):
            value, error = _parse(control, text)
            if not error:
                params[control.path] = value
        controls.append(replace(filled, error=error))
    return params, CloneForm(tuple(controls))


def refused(form: CloneForm, problems: Sequence[Problem]) -> CloneForm:
    """The form with what the study's rules say against it, at the control that it is about."""
    said: dict[str, list[str]] = {}
    for problem in problems:
        where = [str(part) for part in problem.location if part != "params"]
        said.setdefault(".".join(where), []).append(problem.message)
    controls = tuple(
        replace(control, error="; ".join(said.get(control.path, ()))) for control in form.controls
    )
    shown = {control.path for control in controls}
    rest = [
        f"{path}: {message}" if path else message
        for path, messages in said.items()
        for message in messages
        if path not in shown
    ]
    return CloneForm(controls, tuple(rest))


def _settled(spec: StudySpec, trial: TrialView, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every searched path: as drawn, or else as the config has it."""
    found = dict(trial.params)
    for path in spec.space.ordered:
        section, key = split_path(path)
        if path not in found and key in tree.get(section, {}):
            found[path] = tree[section][key]
    return found


def _control(path: str, index: int, dimension: AnyDimension, value: Any) -> Control:
    name = f"{path}@{index}"
    when = {asked: tuple(map(_json, allowed)) for asked, allowed in dimension.when.items()}
    if isinstance(dimension, Choice):
        usual = dimension.choice[0] if value is None and None not in dimension.choice else value
        options = tuple(ChoiceOption(_json(one), wording.setting(one)) for one in dimension.choice)
        return _with_option(Control(name, path, "choice", _json(usual), options, when=when), "")
    low, high = dimension.bounds
    whole = isinstance(dimension, Int)
    usual = _middle(dimension) if value is None else value
    return Control(name, path, "number", _json(usual), low=low, high=high, whole=whole, when=when)


def _middle(dimension: Any) -> float:
    low, high = dimension.bounds
    middle = math.sqrt(low * high) if dimension.log else (low + high) / 2
    if isinstance(dimension, Int):
        return int(low + round((middle - low) / dimension.step) * dimension.step)
    return float(f"{middle:.3g}")


def _with_option(control: Control, text: str) -> Control:
    """The control with its value among its options: one outside of the space is kept."""
    value = text or control.value
    if control.kind != "choice" or any(option.value == value for option in control.options):
        return control
    outside = ChoiceOption(value, _("%(value)s (not in the space)") % {"value": _label(value)})
    return replace(control, options=(*control.options, outside))


def _counts(control: Control, params: Mapping[str, Any]) -> bool:
    return all(
        path in params and any(same(params[path], json.loads(value)) for value in allowed)
        for path, allowed in control.when.items()
    )


def _parse(control: Control, text: str) -> tuple[Any, str]:
    """The value that a control says, or what is wrong with it."""
    if not text:
        return None, _("this needs a value")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        value = text  # of a choice a text may well stand without its quotes
    return _as_number(value, text, whole=control.whole) if control.kind == "number" else (value, "")


def _as_number(value: Any, text: str, *, whole: bool) -> tuple[Any, str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
        return None, _("“{text}” is not a number").format(text=text[:40])
    if whole and value != int(value):
        return None, _("“{text}” is not a whole number").format(text=text[:40])
    return int(value) if whole else value, ""


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _json(value: Any) -> str:
    return json.dumps(value)


def _label(value: str) -> str:
    try:
        return wording.setting(json.loads(value))
    except ValueError:
        return value
