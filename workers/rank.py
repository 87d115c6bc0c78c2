"""One of the processes that train a trial together, beside the trainer.

Started as `python -m workers.rank WRITE` by `workers.other_ranks`: its task comes as a line of
JSON, and how it ended, if not well, goes out through the pipe of that number. It leaves at the end
of its standard input.
"""

import argparse
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Sequence

from tuner import logs
from tuner.errors import DataChanged
from workers.other_ranks import RankTask
from workers.protocol import line
from workers.trainer import failure

_HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the task that is told, and give the exit code: 1 where it failed."""
    parser = argparse.ArgumentParser(prog="python -m workers.rank")
    parser.add_argument("write", type=int)
    options = parser.parse_args(arguments)
    os.set_inheritable(options.write, False)
    faulthandler.enable(2)
    task = RankTask.model_validate_json(sys.stdin.buffer.readline())
    logs.configure("warning", task.log_format)
    threading.Thread(target=_leave_at_the_end, name="leave", daemon=True).start()
    try:
        with logs.about(everywhere=True, **task.start.about):
            _train(task)
    except Exception as error:
        with os.fdopen(options.write, "wb") as words:
            words.write(line(failure(error, task.start.last_step)))
        return 1
    return 0


def _train(task: RankTask) -> None:
    from tuner.training.data.load import load
    from tuner.training.determinism import DeviceContext
    from tuner.training.examples import Examples
    from tuner.training.process_group import joined, met
    from tuner.training.ranks import Rank
    from tuner.training.session import Session
    from tuner.training.train import train

    start = task.start
    data = load(start.config.dataset, cache=task.cache, roots=task.roots)
    if data.fingerprint != task.data:
        raise DataChanged(
            f"rank {task.rank} sees the data {data.fingerprint[:12]}, rank 0 saw {task.data[:12]}: "
            "they changed in between; start the trial again"
        )
    count = start.gpus
    session = Session()
    examples = Examples(
        data.val, start.config.dataset, start.examples, start.folder, session.sheet_drawn
    )
    with joined(Rank(task.rank, count), task.device, met(_HOST, task.port, count)) as group:
        train(
            start.config,
            data,
            session,
            folder=start.folder,
            resume=start.resume,
            last_step=start.last_step,
            best=start.best,
            steps=start.steps,
            context=DeviceContext(device=task.device, threads=task.threads, cache=task.cache),
            examples=examples,
            group=group,
        )


def _leave_at_the_end() -> None:
    """Rank 0 is gone when nothing can come from it any more."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # a GPU that waits for another one would keep a library's own way out
