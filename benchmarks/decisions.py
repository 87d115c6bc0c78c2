"""Milliseconds of a draw and of a verdict when a study has 10,000 finished trials.

On a shared machine `draw_cpu_ms`, of the processor alone, says more than what the clock says. A
server's threads are one: OMP_NUM_THREADS=1 for the same here.

The search is fed as the service feeds it: a thousand of the trials completed, the others were left
at rungs. Every draw and verdict follows the change of one trial.

    python -m benchmarks.decisions [--quick] [--trials 10000] [--sampler auto] [--dimensions 8]
"""

import argparse
import random
import resource
import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter, process_time
from typing import Any

from benchmarks.machine import conclude, describe, percentile
from tuner.search.curve_table import CurveTable
from tuner.search.judge import judge, promotion
from tuner.search.learning_curve import LearningCurve
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.space import Params
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec

EPOCHS = 52
SPACE: dict[str, Any] = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.lr": [
        {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
        {"float": [1e-5, 3e-3], "log": True, "when": {"optimizer.name": "adamw"}},
    ],
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "training.batch_size": {"choice": [4, 8, 16]},
    "augment.rotate": {"int": [0, 30]},
    "augment.colour": {"float": [0.0, 0.5]},
    "schedule.power": {"float": [0.5, 2.0]},
}


def study(trials: int, sampler: str, dimensions: int = len(SPACE) + 1) -> StudySpec:
    """A conditional space of eight dimensions, the rate being two; beyond these plain numbers."""
    more = {f"cube.x{n}": {"float": [0.0, 1.0]} for n in range(len(SPACE) + 1, dimensions)}
    return StudySpec.model_validate(
        {
            "name": "large",
            "dataset": {"format": "synthetic", "classes": ["road", "car"], "size": [64, 64]},
            "base": {"training": {"epochs": EPOCHS}},
            "space": {**SPACE, **more},
            "search": {"trials": 2 * trials, "sampler": sampler},
        }
    )


def finished(number: int, params: Params, chance: random.Random, rungs: list[int]) -> Observation:
    """A trial left at a rung, one of ten completed."""
    reached = rungs if number % 10 == 0 else rungs[: 1 + number % 3]
    final = chance.random()
    steps = {step: final * step / EPOCHS for step in reached}
    if number % 10:
        return Observation(number, TrialState.PAUSED, params, None, steps)
    return Observation(number, TrialState.COMPLETED, params, (final,), {**steps, EPOCHS: final})


def timed(call: Callable[[], Any], times: list[float]) -> Any:
    """What the call gives; its milliseconds are appended."""
    began = perf_counter()
    found = call()
    times.append((perf_counter() - began) * 1000)
    return found


def main() -> None:
    """Fill a study, then draw, judge and promote."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--sampler", default="auto")
    parser.add_argument("--dimensions", type=int, default=8, help="8 or more")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    options = parser.parse_args()
    spec, chance = study(options.trials, options.sampler, options.dimensions), random.Random(0)
    rules = Rules(spec)
    rungs = sorted(rules.judged_steps or ())
    sampler = spec.search.sampler.model_copy(update={"name": "random"})
    search = spec.search.model_copy(update={"sampler": sampler})
    plain = Suggester(Rules(spec.model_copy(update={"search": search})))
    seen = [
        finished(number, plain.draw([], number + 1).params, chance, rungs)
        for number in range(options.trials)
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    suggester, table = Suggester(rules), CurveTable(map(_curve, seen))
    suggester.draw(seen, options.trials)  # the first draw reads all of them
    draws, verdicts, promotions = list[float](), list[float](), list[float]()
    on_cpu = list[float]()
    for turn in range(10 if options.quick else 50):
        number = options.trials + turn
        began = process_time()
        drawn = timed(partial(suggester.draw, seen[-1:], number), draws)
        on_cpu.append((process_time() - began) * 1000)
        seen.append(finished(number, drawn.params, chance, rungs))
        curve = LearningCurve(number, TrialState.RUNNING, {rungs[0]: chance.random()})
        table.put(curve)
        timed(partial(judge, rules, curve, table), verdicts)
        timed(partial(promotion, rules, table), promotions)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    times = {
        "draw_ms": draws,
        "draw_cpu_ms": on_cpu,
        "verdict_ms": verdicts,
        "promotion_ms": promotions,
    }
    result: dict[str, Any] = {name: round(statistics.median(t), 1) for name, t in times.items()}
    for name in ("draw", "draw_cpu"):
        result[f"{name}_p99_ms"] = round(percentile(times[f"{name}_ms"], 0.99), 1)
    print(result)
    conclude({**describe("optuna"), **result, "trials": options.trials, "search_mb": grown // 1024})


def _curve(seen: Observation) -> LearningCurve:
    return LearningCurve(seen.number, seen.state, seen.steps)


if __name__ == "__main__":
    main()
