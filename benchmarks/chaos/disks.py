"""A worker's disk that can be full: a small file system of its own, or a limit in its place."""

import os
import resource
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_MEBIBYTES = 16
_FILLER = "filler"


class Disk:
    """The folder of a worker's cache and outboxes.

    Root gets a tmpfs, which is filled to its last byte. Where none can be mounted, the worker's
    processes may write no byte to any file while the disk is full: RLIMIT_FSIZE.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        options = ["-t", "tmpfs", "-o", f"size={_MEBIBYTES}m", "segtune-chaos", str(folder)]
        self._is_mounted = os.geteuid() == 0 and _succeeds("mount", *options)

    @property
    def kind(self) -> str:
        """How it is made full."""
        return "tmpfs" if self._is_mounted else "RLIMIT_FSIZE"

    def fill(self, processes: Iterable[psutil.Process]) -> None:
        """Let it take no more: from anybody, or from these processes."""
        if not self._is_mounted:
            _limit(processes, 0)
            return
        with (self.folder / _FILLER).open("ab") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(1 << 16))

    def empty(self, processes: Iterable[psutil.Process]) -> None:
        """Let it take more again."""
        (self.folder / _FILLER).unlink(missing_ok=True)
        if not self._is_mounted:
            _limit(processes, resource.RLIM_INFINITY)

    def close(self) -> None:
        """Take the file system away."""
        if self._is_mounted:
            _succeeds("umount", "--lazy", str(self.folder))
            self._is_mounted = False


def _limit(processes: Iterable[psutil.Process], size: int) -> None:
    """Set the largest file that processes may write, as far as they are allowed one."""
    for process in processes:
        with suppress(psutil.Error):
            most = process.rlimit(resource.RLIMIT_FSIZE)[1]
            process.rlimit(resource.RLIMIT_FSIZE, (most if size > most >= 0 else size, most))


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
