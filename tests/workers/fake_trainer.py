"""A trainer that follows a plan given as words instead of training; speaks the real protocol.

Words: heartbeat, measure=MS, report=N, save=N, sheet=N, model, preview, print=TEXT, exit=CODE,
kill, hang, freeze, until-yield, finish=KIND, fail=ERROR_KIND, shared-fail=ERROR_KIND,
shared-kill, hold=MIB, lack=UNFITNESS, wrong-digest. A verdict other than `continue` ends the trial
as a real one does. Of several plans with a | between them, trial N follows the one in place N.
"""

import faulthandler
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_OBEYED = {"prune": "pruned", "pause": "paused", "stop": "stopped", "yield": "yielded"}


class Play:
    """One trial of the plan."""

    def __init__(self, pipes: "Pipes", start: dict[str, Any]) -> None:
        self.pipes, self.folder = pipes, Path(start["folder"])
        text = json.dumps(start["config"], sort_keys=True, separators=(",", ":"))
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.step = start["last_step"]
        self.is_shared = start["is_shared"]

    def act(self, word: str) -> bool:
        """Do one word; False when the trial has ended."""
        name, _, value = word.partition("=")
        return bool(getattr(self, "_do_" + name.replace("-", "_"))(value))

    def _do_heartbeat(self, _: str) -> bool:
        self.pipes.send(kind="beat", stage="step")
        return True

    def _do_measure(self, latency: str) -> bool:
        costs = {"latency_ms": float(latency), "latency_p95_ms": float(latency)}
        costs |= {"throughput": 9.0, "memory_mb": 1.0, "parameters": 5, "macs": 7}
        self.pipes.send(kind="costed", measured={"measurements": costs, "device": "abacus"})
        return self._is_to_go_on()

    def _do_report(self, step: str) -> bool:
        self.step = int(step)
        report = {"step": self.step, "metrics": {"miou": self.step / 100}, "seconds": 1.0}
        self.pipes.send(kind="reported", report=report)
        return self._is_to_go_on()

    def _is_to_go_on(self) -> bool:
        """Wait for the verdict, and obey it."""
        while (answer := self.pipes.receive())["kind"] != "reply":
            pass
        action = answer["verdict"]["action"]
        return action == "continue" or self._do_finish(_OBEYED[action])

    def _do_save(self, step: str) -> bool:
        path = self.folder / "checkpoint.pt"
        path.write_bytes(f"checkpoint {step}".encode())
        self.pipes.send(kind="saved", path=str(path), step=int(step))
        return True

    def _do_model(self, _: str) -> bool:
        (self.folder / "model.pt").write_bytes(b"weights")
        return True

    def _do_preview(self, _: str) -> bool:
        (self.folder / "preview.webp").write_bytes(b"picture")
        return True

    def _do_sheet(self, step: str) -> bool:
        """Photos for step 0, else the predictions of a step."""
        kind = "predictions" if int(step) else "photos"
        path = self.folder / f"{kind}-{step}.png"
        path.write_bytes(f"{kind} {step}".encode())
        image = {"index": 3, "name": "straße.png", "size": [4, 8], "box": [0, 0, 8, 4]}
        details = {"width": 8, "height": 4, "images": [image]}
        at = {"step": int(step)} if int(step) else {}
        self.pipes.send(kind="sheet", artifact=kind, path=str(path), details=details, **at)
        return True

    def _do_print(self, text: str) -> bool:
        print(text, flush=True)  # noqa: T201  # this is what it is for
        return True

    def _do_exit(self, code: str) -> bool:
        os._exit(int(code))

    def _do_kill(self, _: str) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    def _do_hang(self, _: str) -> bool:
        signal.pause()
        return False

    def _do_freeze(self, _: str) -> bool:
        os.kill(os.getpid(), signal.SIGSTOP)
        return False

    def _do_until_yield(self, _: str) -> bool:
        while self.pipes.receive()["kind"] != "yield":
            pass
        return True

    def _do_wrong_digest(self, _: str) -> bool:
        self.digest = "0" * 64
        return True

    def _do_finish(self, kind: str) -> bool:
        outcome = {"kind": kind, "step": self.step}
        self.pipes.send(kind="finished", outcome=outcome, digest=self.digest)
        return False

    def _do_fail(self, kind: str) -> bool:
        outcome = {"kind": "failed", "step": self.step, "error": "scripted", "error_kind": kind}
        self.pipes.send(kind="finished", outcome=outcome, digest=self.digest)
        return False

    def _do_shared_fail(self, kind: str) -> bool:
        """Fail on a device where others may be."""
        return self._do_fail(kind) if self.is_shared else True

    def _do_shared_kill(self, _: str) -> bool:
        return self._do_kill(_) if self.is_shared else True

    def _do_hold(self, mib: str) -> bool:
        self.pipes.send(kind="memory", mib=float(mib))
        return True

    def _do_lack(self, kind: str) -> bool:
        error = "scripted\n\nTraceback (most recent call last):\n  ..."
        outcome = {"kind": "yielded", "step": self.step, "error": error, "error_kind": kind}
        self.pipes.send(kind="finished", outcome=outcome, digest=self.digest)
        return False


class Pipes:
    """The two pipes to the agent."""

    def __init__(self, read: int, write: int) -> None:
        self._input, self._output = os.fdopen(read, "rb"), os.fdopen(write, "wb", buffering=0)

    def send(self, **message: Any) -> None:
        """Send one message."""
        self._output.write(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """Wait for one message; without an agent, end."""
        line = self._input.readline()
        if not line:
            os._exit(0)
        return dict(json.loads(line))


def main() -> None:
    """Follow the plan for every trial that the agent sends."""
    faulthandler.register(signal.SIGUSR1, file=2)
    plans = [each.split() for each in sys.argv[1].split("|")]
    pipes = Pipes(int(sys.argv[-2]), int(sys.argv[-1]))
    if plans == [["stillborn"]]:
        print("no such library", flush=True)  # noqa: T201  # a log to look at
        sys.exit(1)
    pipes.send(kind="ready")
    while True:
        command = pipes.receive()
        if command["kind"] == "start":
            play = Play(pipes, command)
            number = command["about"]["trial"] if len(plans) > 1 else 0
            for word in plans[number]:
                if not play.act(word):
                    break


if __name__ == "__main__":
    main()
