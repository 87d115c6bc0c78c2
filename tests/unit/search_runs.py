"""A whole search over a made-up objective, with workers in parallel and servers that restart."""

from collections.abc import Callable, Sequence
from typing import Any

from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Draw, Suggester
from tuner.search.transfer import SourceTrial
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

Values = Callable[[dict[str, Any]], tuple[float, ...]]
CUBE = {f"cube.x{axis}": {"float": [-5.0, 5.0]} for axis in range(4)}


def sphere(params: dict[str, Any]) -> tuple[float, ...]:
    """An objective to maximize: 0 at 1.5 on every axis, less elsewhere."""
    return (-sum((value - 1.5) ** 2 for value in params.values()),)


def search(
    spec: StudySpec,
    values: Values,
    *,
    workers: int = 1,
    restart_at: Sequence[int] = (),
    before: Sequence[dict[str, Any]] = (),
    earlier: Sequence[Sequence[SourceTrial]] = (),
) -> tuple[list[Draw], list[Observation]]:
    """Draws and trials of a study whose trials end in the order in which they began.

    As in the service, whatever was drawn is seen by the next draw, with what the sampler left.
    Trials with the params of `before` stand in for trial 0 and its like. After `restart_at`
    trials, a new process reads all of them back, latest first.
    """
    suggester, draws = Suggester(Rules(spec), earlier), list[Draw]()
    known = {
        number: Observation(number, TrialState.COMPLETED, params, values(params))
        for number, params in enumerate(before)
    }
    fresh, running = list(known.values()), list[Observation]()
    for number in range(len(before), spec.search.trials):
        if number in restart_at:
            suggester, fresh = Suggester(Rules(spec), earlier), list(reversed(known.values()))
        draws.append(suggester.draw(fresh, number))
        began = Observation(
            number, TrialState.RUNNING, draws[-1].params, attrs=dict(draws[-1].attrs)
        )
        running.append(began)
        fresh = [began]
        if len(running) >= workers:
            first = running.pop(0)
            fresh.append(
                Observation(
                    first.number,
                    TrialState.COMPLETED,
                    first.params,
                    values(first.params),
                    attrs=first.attrs,
                )
            )
        known.update({seen.number: seen for seen in fresh})
    return draws, list(known.values())


def best(trials: Sequence[Observation]) -> float:
    """The greatest first value."""
    return max(seen.values[0] for seen in trials if seen.values)
