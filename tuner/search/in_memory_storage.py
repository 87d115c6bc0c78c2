"""What a sampler sees: one study's trials in memory, replaceable one by one.

Optuna's own in-memory storage numbers trials by arrival and never forgets one. Ours keeps our
numbers, so that a history looks the same whichever way it came, and takes back a trial that was
only asked for: the store decides whether it exists.
"""

from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.search.trial_arrays import CachedTrial, TrialArrays, TrialColumns

T = TypeVar("T", bound=TrialColumns)
_STUDY = 0
_BIRTH = datetime(2000, 1, 1, tzinfo=UTC)  # no sampler looks at times


class InMemoryStorage(BaseStorage):
    """The trials of one study by number; a trial's id is its number. Not safe for threads."""

    def __init__(self) -> None:
        self._name = ""
        self._directions: list[StudyDirection] = []
        self._study_attrs: dict[str, Any] = {}
        self._trials: list[FrozenTrial] = []
        self._asked: FrozenTrial | None = None
        self._tables: dict[Hashable, TrialColumns] = {}
        self.next_number = 0

    def put(self, trial: FrozenTrial) -> None:
        """Add or replace a trial; numbers never seen so far count as failed until they are."""
        while len(self._trials) <= trial.number:
            self._trials.append(blank(len(self._trials), TrialState.FAIL))
        self._trials[trial.number] = trial

    def table(self, space: Mapping[str, BaseDistribution]) -> TrialArrays:
        """The trials as arrays of the one objective and the params of a space, up to date.

        A param's distribution is the same at every call: that of the study.
        """
        maximize = self._directions[0] is StudyDirection.MAXIMIZE
        return self.kept(tuple(space), lambda: TrialArrays(space, maximize=maximize))

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """A table of the trials, made once for the key and brought up to date at every call."""
        if key not in self._tables:
            self._tables[key] = make()
        trials = self.get_all_trials(_STUDY, deepcopy=False)
        self._tables[key].update([each for each in trials if isinstance(each, CachedTrial)])
        return cast(T, self._tables[key])

    def withdraw(self) -> None:
        """Forget the trial that was asked for."""
        self._asked = None

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin the trial of number `next_number`, which exists until it is withdrawn."""
        self._asked = blank(self.next_number, TrialState.RUNNING)
        return self.next_number

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Note one param of the asked trial."""
        trial = self.get_trial(trial_id)
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note what the sampler wants to find again."""
        self.get_trial(trial_id).system_attrs[key] = value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note a user attribute."""
        self.get_trial(trial_id).user_attrs[key] = value

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Refuse: states come with observations."""
        raise NotImplementedError("a trial's state comes with its observation; use put")

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Refuse: values come with observations."""
        raise NotImplementedError("a trial's values come with its observation; use put")

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial of that number. Raises KeyError."""
        if self._asked is not None and self._asked.number == trial_id:
            return self._asked
        try:
            return self._trials[trial_id]
        except IndexError:
            raise KeyError(f"no trial {trial_id} in memory") from None

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Trials by number, the asked one last; never copied, because nobody here changes them."""
        trials = self._trials if self._asked is None else [*self._trials, self._asked]
        return list(trials) if states is None else [t for t in trials if t.state in states]

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Take the one study's directions and name."""
        self._directions, self._name = list(directions), study_name or ""
        return _STUDY

    def delete_study(self, study_id: int) -> None:
        """Forget every trial."""
        self._trials, self._asked = [], None

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Note an attribute of the study."""
        self._study_attrs[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Note an attribute of the study."""
        self._study_attrs[key] = value

    def get_study_id_from_name(self, study_name: str) -> int:
        """The one study's id."""
        return _STUDY

    def get_study_name_from_id(self, study_id: int) -> str:
        """The one study's name."""
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Directions of the objectives."""
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Attributes of the study."""
        return self._study_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Attributes of the study."""
        return self._study_attrs

    def get_all_studies(self) -> list[Any]:
        """Nothing: the one study is found by its name."""
        return []


def blank(number: int, state: TrialState) -> FrozenTrial:
    """A trial of which only number and state are known."""
    return frozen(number, state)


def frozen(
    number: int,
    state: TrialState,
    *,
    params: dict[str, Any] | None = None,
    distributions: dict[str, BaseDistribution] | None = None,
    **rest: Any,
) -> CachedTrial:
    """A trial as Optuna's samplers read it; `rest` is values, steps and attributes."""
    return CachedTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        values=rest.get("values"),
        datetime_start=_BIRTH,
        datetime_complete=_BIRTH if state.is_finished() else None,
        params=params or {},
        distributions=distributions or {},
        user_attrs={},
        system_attrs=rest.get("attrs") or {},
        intermediate_values=rest.get("steps") or {},
    )
