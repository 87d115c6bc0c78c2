"""How attempts end: what the agent makes of what its trainer said or did. Pure decisions."""

from pathlib import Path

from tuner.spec.config import TrialConfig
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Outcome, OutcomeKind, Unfitness, Verdict
from tuner.wording import quantity
from workers.protocol import Finished, digest


def apply_verdict(outcome: Outcome, verdict: Verdict | None) -> Outcome:
    """Name a trial that yielded after a verdict for that verdict."""
    if verdict is None or outcome.kind is not OutcomeKind.YIELDED:
        return outcome
    return outcome.model_copy(update={"kind": verdict.action.outcome or outcome.kind})


def trained(finished: Finished, config: TrialConfig) -> Outcome:
    """The trainer's outcome, if it trained what was sampled."""
    if finished.digest == digest(config):
        return finished.outcome
    return Outcome(
        kind=OutcomeKind.FAILED,
        step=finished.outcome.step,
        error=(
            f"the trainer trained config {finished.digest[:12]}, assigned was "
            f"{digest(config)[:12]}; install the same segtune version on server and worker"
        ),
        error_kind=ErrorKind.EXCEPTION,
    )


def crashed(how: str, step: int, tail: str) -> Outcome:
    """The trainer process died under a trial."""
    error = f"the trainer process ended with {how}; its last output:\n{tail}"
    return Outcome(kind=OutcomeKind.CRASHED, step=step, error=error, error_kind=ErrorKind.CRASH)


def hung(seconds: float, step: int, *, stack: str, tail: str) -> Outcome:
    """The trainer was killed because it made no progress; `stack` says where it was."""
    where = f"it was here:\n{stack}" if stack else "it did not say where it was"
    # The first paragraph alone is shown where there is one line for it.
    error = (
        f"no progress for {seconds:g} s, so the trainer was killed; its last output:\n"
        f"{tail.rstrip()}\n\n{where}"
    )
    return Outcome(kind=OutcomeKind.HUNG, step=step, error=error, error_kind=ErrorKind.HANG)


def needs_checkpoint(outcome: Outcome) -> bool:
    """Whether another attempt will go on from this one's last checkpoint."""
    return outcome.kind in {
        OutcomeKind.PAUSED,
        OutcomeKind.YIELDED,
        OutcomeKind.CRASHED,
        OutcomeKind.HUNG,
    }


def needs_log(outcome: Outcome) -> bool:
    """Whether somebody will want to read the trainer's output."""
    failed = outcome.kind in {OutcomeKind.FAILED, OutcomeKind.CRASHED, OutcomeKind.HUNG}
    return failed or outcome.unfitness is not None


def needs_fresh_trainer(outcome: Outcome) -> bool:
    """Whether the trainer may be spoilt: a CUDA error stays, and so may memory."""
    return (
        outcome.error_kind in {ErrorKind.EXCEPTION, ErrorKind.OUT_OF_MEMORY}
        or outcome.unfitness is not None
    )


def refused(refusal: object, kept: Path | None, step: int) -> Outcome:
    """The server refused for good what the worker had to say; it is kept in a file."""
    where = f"; it is kept in {kept} on the worker's machine" if kept is not None else ""
    error = f"the server refused what the worker had to say: {refusal}{where}"
    return Outcome(
        kind=OutcomeKind.FAILED, step=step, error=error[:20_000], error_kind=ErrorKind.EXCEPTION
    )


def unfit(kind: Unfitness, step: int, error: object) -> Outcome:
    """The trial goes back because this machine cannot train it now, and another one may."""
    return Outcome(kind=OutcomeKind.YIELDED, step=step, error=str(error)[:20_000], error_kind=kind)


def may_have_run_out(outcome: Outcome) -> bool:
    """Whether memory may be why an attempt ended: as torch, a driver or the system says it.

    Libraries of CUDA that get no memory say that they cannot start; the system kills.
    """
    if outcome.error_kind == ErrorKind.CRASH:
        return "SIGKILL" in (outcome.error or "")
    return outcome.error_kind in {ErrorKind.OUT_OF_MEMORY, Unfitness.DEVICE}


def retried_alone(outcome: Outcome, *, beside: int) -> Outcome:
    """The trial goes back for another attempt, which its worker trains without others beside it."""
    where = f"beside {quantity(beside, 'other trial')}" if beside else "on a device for several"
    error = f"memory may have run out {where}; it is tried again alone: {outcome.error or ''}"
    return outcome.model_copy(
        update={
            "kind": OutcomeKind.YIELDED,
            "error": error[:20_000],
            "error_kind": ErrorKind.OUT_OF_MEMORY,
        }
    )
