"""What a fleet was given for its workers, as the variables that they read."""

import os
from urllib.parse import urlsplit

from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

_LOCAL = {"localhost", "127.0.0.1", "::1"}


def environment(fleet: FleetSettings, worker: WorkerSettings) -> dict[str, str]:
    """Server, token and folders, and a worker's GPUs or slots where they are several."""
    found = {
        "SEGTUNE_SERVER": worker.server,
        "SEGTUNE_HOME": str(worker.home),
        "SEGTUNE_LOG_FORMAT": worker.log_format,
        "SEGTUNE_DATA_ROOTS": os.pathsep.join(map(str, worker.data_roots)),
    }
    if worker.token is not None:
        found["SEGTUNE_TOKEN"] = worker.token.get_secret_value()
    if fleet.gpus > 1:
        found["SEGTUNE_GPUS"] = str(int(fleet.gpus))
    if fleet.slots > 1:
        found["SEGTUNE_SLOTS"] = str(fleet.slots)
    return found


def is_local(server: str) -> bool:
    """Whether an address is one that no other machine reaches."""
    return urlsplit(server).hostname in _LOCAL
