"""What a fleet asks the server: the queue, the workers, and to drain one or let it go on."""

from typing import TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from tuner.errors import ServerFailing
from tuner.spec.fleet import QueueView, WorkerView
from tuner.spec.validation import summary
from workers.client import ServerClient

T = TypeVar("T")
_WORKERS = TypeAdapter(tuple[WorkerView, ...])
_QUEUE = TypeAdapter(QueueView)


class FleetClient(ServerClient):
    """HTTP to one server, as a fleet speaks it; errors are those of `ServerClient`."""

    def queue(self) -> QueueView:
        """What waits for workers."""
        return self._get(_QUEUE, "queue")

    def workers(self) -> dict[str, WorkerView]:
        """Every worker that the server knows, by name."""
        return {worker.name: worker for worker in self._get(_WORKERS, "workers")}

    def drain(self, worker: str) -> None:
        """Let a worker end the trial that it has, and give it no other. Raises NotFound."""
        self._send("POST", f"workers/{quote(worker, safe='')}/drain")

    def undrain(self, worker: str) -> None:
        """Give a drained worker trials again. Raises NotFound."""
        self._send("POST", f"workers/{quote(worker, safe='')}/undrain")

    def _get(self, kind: TypeAdapter[T], path: str) -> T:
        answer = self._send("GET", path)
        try:
            return kind.validate_json(answer.body)
        except ValidationError as error:
            message = f"{answer.url} cannot be read: {summary(error, most=1)}; asking again later"
            raise ServerFailing(message) from error
