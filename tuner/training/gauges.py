"""How fast an epoch went, for its report: speed, waiting, memory and use of the GPU."""

from contextlib import suppress
from statistics import mean
from time import perf_counter

import torch

from tuner.training import memory
from tuner.training.determinism import DeviceContext


class Gauges:
    """Reads the clock and the GPU over the steps of one epoch."""

    def __init__(self, context: DeviceContext, *, devices: int = 1) -> None:
        """Of so many devices that work together, look at this one."""
        self._context, self._devices = context, devices
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
        return self.seconds * self._devices

    def speed(self) -> dict[str, float]:
        """Images per second, and the share of the time in which the loop waited for them.

        At the end of the steps: a GPU's use is noted here too, however few they were.
        """
        seconds = max(self.seconds, 1e-9)
        self.read_device()
        return {"images_per_second": self._images / seconds, "data_wait": self._waited / seconds}

    def device(self) -> dict[str, float]:
        """Peak memory in MiB and mean use as a share, of a GPU."""
        peak = memory.peak_mb(self._context)
        found = {} if peak is None else {"peak_memory_mb": peak}
        return found | ({"gpu_utilisation": mean(self._uses)} if self._uses else {})
