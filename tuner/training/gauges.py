"""How fast an epoch went, for its report: speed, waiting, memory and use of the GPU."""

from collections.abc import Sequence
from contextlib import suppress
from statistics import mean
from time import perf_counter

import torch

from tuner.training import memory
from tuner.training.determinism import DeviceContext
from tuner.training.process_group import ProcessGroup


class Gauges:
    """Reads the clock and the GPU over the steps of one epoch."""

    def __init__(
        self,
        context: DeviceContext,
        *,
        group: ProcessGroup = ProcessGroup(),  # noqa: B008  # has no state
    ) -> None:
        """Look at the own device, and hear of those of the group's other processes."""
        self._context, self._group = context, group
        self._uses: list[float] = []
        self._began = self._asked = perf_counter()
        self._waited = 0.0
        self._images = 0
        if context.is_cuda:
            torch.cuda.reset_peak_memory_stats(context.device)

    def batch_asked(self) -> None:
        """Say that the next batch is asked for."""
        self._asked = perf_counter()

    def batch_arrived(self, images: int) -> None:
        """Say that it is there, and of how many images."""
        self._waited += perf_counter() - self._asked
        self._images += images

    def read_device(self) -> None:
        """Note the share of the last second in which the GPU was busy, where it can be asked."""
        if self._context.is_cuda:
            # NVIDIA's library may be missing or forbidden, with errors of its own kind; a gauge
            # that cannot be read is left out and never ends a trial.
            with suppress(Exception):
                self._uses.append(torch.cuda.utilization(self._context.device) / 100)

    @property
    def seconds(self) -> float:
        """Since the epoch began, or went on."""
        return perf_counter() - self._began

    @property
    def device_seconds(self) -> float:
        """The same for every device that was busy with it: what the epoch costs."""
        return self.seconds * self._group.rank.count

    def speed(self) -> dict[str, float]:
        """Images per second, and the share of the time in which the loop waited for them.

        At the end of the steps: a GPU's use is noted here too, however few they were.
        """
        seconds = max(self.seconds, 1e-9)
        self.read_device()
        return {"images_per_second": self._images / seconds, "data_wait": self._waited / seconds}

    def device(self) -> dict[str, float]:
        """Peak memory in MiB and mean use as a share, of all GPUs that the group trains on.

        Every process of the group must ask.
        """
        return joint(self._group.gathered(self._own_device()))

    def _own_device(self) -> dict[str, float]:
        peak = memory.peak_mb(self._context)
        found = {} if peak is None else {"peak_memory_mb": peak}
        return found | ({"gpu_utilisation": mean(self._uses)} if self._uses else {})


def joint(readings: Sequence[dict[str, float]]) -> dict[str, float]:
    """What several devices say as one: the greatest peak, the mean use of those that say it."""

    def said(name: str) -> list[float]:
        return [reading[name] for reading in readings if name in reading]

    peaks, uses = said("peak_memory_mb"), said("gpu_utilisation")
    found = {"peak_memory_mb": max(peaks)} if peaks else {}
    return found | ({"gpu_utilisation": mean(uses)} if uses else {})
