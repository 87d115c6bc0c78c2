"""What must hold once the faults are over: each check gives what is wrong, or nothing."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import islice, pairwise

from benchmarks.chaos.study import NAME, numbers, undisturbed
from benchmarks.chaos.town import Town
from tuner.client import Client
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import Event, StudyView, TrialView

Problems = list[str]
_GRACE = 15.0  # seconds in which what an outage broke may still be felt
_LEFT = 15.0  # seconds in which a process whose parent was killed must have ended


class Record:
    """All that the server says of the study, read once."""

    def __init__(self, client: Client) -> None:
        self.study: StudyView = client.study(NAME)
        numbered = sorted(trial.number for trial in client.trials(NAME))
        self.trials: list[TrialView] = [client.trial(NAME, number) for number in numbered]
        self.series: dict[int, list[tuple[int, Mapping[str, float]]]] = {
            number: [(step.step, step.metrics) for step in client.steps(NAME, number)]
            for number in numbered
        }
        events = islice(client.events(NAME), self.study.last_event)  # they have no end
        self.events: list[Event] = list(events)


def whole(record: Record) -> dict[str, Problems]:
    """The checks of what the server has."""
    return {
        "no trial lost": list(_lost(record)),
        "no trial doubled": list(_doubled(record)),
        "every series gap-free and without doubles": list(_torn(record)),
        "every final metric that of the same training undisturbed": list(_changed(record)),
        "no leaked lease": list(_held(record)),
    }


def _lost(record: Record) -> Iterator[str]:
    if record.study.state is not StudyState.FINISHED:
        yield f"the study is {record.study.state}: {record.study.reason}"
    found = [trial.number for trial in record.trials]
    if found != list(range(record.study.counts.total)):
        yield f"{record.study.counts.total} trials were drawn, there are {found}"
    is_pruned = record.study.spec.search.pruner.name != "none"
    wanted = {TrialState.COMPLETED, *([TrialState.PRUNED] if is_pruned else [])}
    for trial in record.trials:
        if trial.state not in wanted:
            yield f"trial {trial.number} is {trial.state}: {trial.reason}"


def _doubled(record: Record) -> Iterator[str]:
    drawn = Counter(str(sorted(trial.params.items())) for trial in record.trials)
    yield from (f"{count} trials have {params}" for params, count in drawn.items() if count > 1)
    for trial in record.trials:
        history = trial.attempt_history
        if [one.number for one in history] != list(range(1, trial.attempts + 1)):
            yield f"trial {trial.number} has attempts {[one.number for one in history]}"
        ends = [one.outcome for one in history].count(OutcomeKind.COMPLETED)
        if ends != (trial.state is TrialState.COMPLETED):
            yield f"trial {trial.number} was completed {ends} times"
        for one, after in pairwise(history):
            if one.ended_at is None or after.started_at < one.ended_at:
                yield f"trial {trial.number}: attempts {one.number} and {after.number} overlap"


def _torn(record: Record) -> Iterator[str]:
    found: dict[int, list[int]] = {trial.number: [] for trial in record.trials}
    for event in record.events:
        if event.kind == "trial.reported" and event.trial is not None:
            found[event.trial].append(event.data["step"])
    for trial in record.trials:
        is_whole = trial.state is TrialState.COMPLETED
        wanted = list(range(1, (trial.epochs if is_whole else trial.step) + 1))
        if [step for step, _ in record.series[trial.number]] != wanted:
            yield f"trial {trial.number} has steps {[s for s, _ in record.series[trial.number]]}"
        if found[trial.number] != wanted:
            yield f"the events of trial {trial.number} tell of steps {found[trial.number]}"
    counted = [event.seq for event in record.events]
    if counted != list(range(1, len(counted) + 1)):
        yield "the events are not numbered one by one"


def _changed(record: Record) -> Iterator[str]:
    begun = [trial for trial in record.trials if record.series[trial.number]]
    again = undisturbed([(trial.config, record.series[trial.number][-1][0]) for trial in begun])
    for trial, series in zip(begun, again, strict=True):
        found = record.series[trial.number]
        wrong = [step for step, metrics in found if numbers(metrics) != series.get(step)]
        if wrong:
            yield f"trial {trial.number} has other numbers from step {wrong[0]} on"
        if numbers(trial.metrics) != numbers(found[-1][1]):
            yield f"trial {trial.number} ended with other numbers than its last step"


def _held(record: Record) -> Iterator[str]:
    for trial in record.trials:
        for one in trial.attempt_history:
            if one.ended_at is None:
                yield f"attempt {one.number} of trial {trial.number} is held by {one.worker}"


def kept(town: Town, record: Record) -> Problems:
    """Files whose bytes are not in the store, or not those of their sha256."""
    found = []
    for trial in record.trials:
        is_whole = trial.state is TrialState.COMPLETED
        if is_whole and ArtifactKind.MODEL not in {file.kind for file in trial.artifacts}:
            found.append(f"trial {trial.number} has no model")
        for file in trial.artifacts:
            path = next((town.folder / "home" / "artifacts").rglob(file.sha256), None)
            if path is None or sha256(path.read_bytes()).hexdigest() != file.sha256:
                found.append(f"{file.kind} of trial {trial.number} is not in the store")
    return found


def strays(town: Town) -> Problems:
    """Processes that outlived whoever started them."""
    with suppress(TimeoutError):
        town.until(lambda: not town.strays(), seconds=_LEFT, what="the end of strays")
    found = [_shown(each) for each in town.strays()]
    counts = {name: len(worker.children) for name, worker in town.workers.items()}
    return [
        *found,
        *(f"{name} has {count} trainers" for name, count in counts.items() if count > 1),
    ]


def remains(town: Town, codes: Mapping[str, int]) -> Problems:
    """What is left when all were asked to end."""
    # uvicorn ends as its signal says once it has shut down in order.
    found = [f"{name} ended with {code}" for name, code in codes.items() if code not in {0, -15}]
    end = time.monotonic() + _LEFT
    while (left := town.marked()) and time.monotonic() < end:
        time.sleep(0.1)
    found += [_shown(each) for each in left]
    for name, disk in town.disks.items():
        boxes = sorted(path.name for path in (disk.folder / "leases").glob("*"))
        if boxes:
            found.append(f"{name} left outboxes: {boxes}")
    return found


def answers(town: Town) -> Problems:
    """Answers that say that the server failed, but those that say that its database is away."""
    found = Counter(
        failure.text.partition("\r\n")[0] + failure.text[-160:]
        for failure in town.proxy.failures
        if failure.status != 503 or not _is_out(town, failure.at)
    )
    return [f"{count} times {text}" for text, count in found.items()]


def ends(town: Town) -> Problems:
    """Processes that ended though nobody had killed them."""
    found = []
    for process in town.processes:
        for at, code in process.deaths:
            starts = process is town.server and _is_out(town, at)  # without its database it cannot
            if code != -9 and not starts:
                found.append(f"{process.name} ended by itself with {code}")
    return found


def tracebacks(town: Town) -> Problems:
    """Errors that nobody expected, in the logs of server and workers."""
    found = []
    for process in town.processes:
        lines = process.log.read_text(errors="replace").splitlines()
        count = sum(line.startswith("Traceback (") for line in lines)
        if count:
            found.append(f"{process.log} has {count} tracebacks")
    return found


def _is_out(town: Town, at: float) -> bool:
    return any(begin <= at <= end + _GRACE for begin, end in town.outages)


def _shown(process: object) -> str:
    return f"left behind: {process}"
