"""A smooth task made rough: of 1,000 random trainings the nearest one answers, as in a table.

Surrogates are smooth, and a model of them is worth more than one of a table of real trainings. On
the rough twins of the tasks that may be tuned on this shows before tables are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np

from benchmarks.search.table import Table, coordinates
from benchmarks.search.task import Curve, Task, params_at
from tuner.spec.space import Params

ROWS = 1_000


def rough(task: Task, *, rows: int = ROWS) -> Task:
    """The twin of a task; which trainings it has is decided by the task's name."""
    kin = None if task.kin is None else rough(task.kin, rows=rows)
    return replace(task, name=f"rough-{task.name}", curves=_Rows(task, rows), kin=kin)


@dataclass(slots=True)
class _Rows:
    """The table, trained when it is first asked."""

    task: Task
    count: int
    table: Table | None = field(default=None, init=False)

    def __call__(self, params: Sequence[Params]) -> list[Curve]:
        if self.table is None:
            self.table = self._train()
        return self.table.curves(params)

    def _train(self) -> Table:
        spec = self.task.study({})
        rng = np.random.default_rng([30, crc32(self.task.name.encode())])
        tried = [params_at(spec, point) for point in rng.random((self.count, len(self.task.space)))]
        points = np.stack([coordinates(spec, one) for one in tried])
        return Table(spec, points, self.task.curves(tried))
