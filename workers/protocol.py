"""What a worker's agent and its trainer process say to each other, one JSON line per message.

The agent sends `Start`, `Reply` and `Yield`; the trainer sends the others. After `Start` comes one
`Costed` where there is something to measure, then any number of `Heartbeat`, `Saved`, `SheetDrawn`,
`MemoryHeld` and `Reported`, then one `Finished`. `Costed` and `Reported` are answered by a `Reply`
each. The end of the agent's pipe means that the agent is gone, and the trainer ends too.
"""

import hashlib
import json
import signal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from tuner.spec.config import Section, TrialConfig
from tuner.spec.deployment import Deployment, Measured
from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import BestStep, Outcome, Report, Verdict

# In the trial's folder, once the trainer has drawn it.
PREVIEW = "preview.webp"
STACK_SIGNAL = signal.SIGUSR1  # the trainer answers it in its log: where each thread is


class Start(Section):
    """Train this config in this folder, from this checkpoint on."""

    kind: Literal["start"] = "start"
    config: TrialConfig
    folder: Path
    resume: Path | None = None
    last_step: int = 0
    best: BestStep | None = None
    steps: int | None = None
    data_version: str | None = None
    threads: int | None = None
    measure: Deployment | None = Field(default=None, exclude_if=lambda value: value is None)
    examples: int = 0
    gpus: int = 1
    is_shared: bool = Field(default=False, description="Whether other trials may join it")
    is_crowded: bool = Field(default=False, description="Whether some are there already")
    about: dict[str, str | int] = Field(default={}, description="What its log lines say of it")


class Reply(Section):
    """The answer to one `Reported` or `Costed`."""

    kind: Literal["reply"] = "reply"
    verdict: Verdict


class Yield(Section):
    """Save a checkpoint at the next optimizer step and end the trial."""

    kind: Literal["yield"] = "yield"


class Ready(Section):
    """The trainer has loaded its libraries, has its device and waits for a `Start`."""

    kind: Literal["ready"] = "ready"


class Heartbeat(Section):
    """The trial made progress: in loading its data, or an optimizer step."""

    kind: Literal["beat"] = "beat"  # agent and trainer may be of two releases
    stage: Literal["load", "step"]


class Saved(Section):
    """A checkpoint lies on disk."""

    kind: Literal["saved"] = "saved"
    path: Path
    step: int


class MemoryHeld(Section):
    """The GPU's memory that the process takes at most, in MiB; nobody answers."""

    kind: Literal["memory"] = "memory"
    mib: float


class Reported(Section):
    """The metrics of one step; the trainer waits for the verdict."""

    kind: Literal["reported"] = "reported"
    report: Report


class Costed(Section):
    """What the network costs where it is to run; the trainer waits for the verdict."""

    kind: Literal["costed"] = "costed"
    measured: Measured


class SheetDrawn(Section):
    """A sheet of validation images lies on disk; nobody answers."""

    kind: Literal["sheet"] = "sheet"
    artifact: ArtifactKind
    path: Path
    details: SheetDetails
    step: int | None = None


class Finished(Section):
    """How the trial ended, with the digest of the config that was really trained."""

    kind: Literal["finished"] = "finished"
    outcome: Outcome
    digest: str


Instruction = Annotated[Start | Reply | Yield, Field(discriminator="kind")]
Message = Annotated[
    Ready | Heartbeat | Saved | MemoryHeld | Reported | Costed | SheetDrawn | Finished,
    Field(discriminator="kind"),
]
INSTRUCTIONS: TypeAdapter[Instruction] = TypeAdapter(Instruction)
MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)


def line(message: Section) -> bytes:
    """One message as a line."""
    return message.model_dump_json().encode() + b"\n"


def digest(config: TrialConfig) -> str:
    """The sha256 of a config's canonical JSON: equal configs, and only those, have equal ones."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
