"""How busy a worker's device is, and its memory; nothing of it ever ends a trial."""

from contextlib import suppress

import psutil

from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Device
from tuner.spec.vitals import Usage

_MIB, _GIB = 1 << 20, 1 << 30


class UsageMeter:
    """Looks at one device, and at the trainer's process."""

    def __init__(self, device: Device, trainer: int) -> None:
        """Watch the device, and the process of that id with those that it starts."""
        self._device, self._trainer = device, trainer
        with suppress(Exception):
            psutil.cpu_percent()  # the next call tells of the time since this one

    def read(self) -> Usage:
        """What can be known now; the CPU's use is that since the last look."""
        with suppress(Exception):  # of a driver that is gone, say
            if self._device.kind == DeviceKind.CUDA:
                return self._gpu()
            return self._host()
        return Usage()

    def _host(self) -> Usage:
        memory = psutil.virtual_memory()
        is_cpu = self._device.kind == DeviceKind.CPU  # nobody says how busy Apple's GPU is
        return Usage(
            utilisation=min(1.0, psutil.cpu_percent() / 100) if is_cpu else None,
            memory_gb=_gigabytes(memory.total - memory.available),
            memory_total_gb=_gigabytes(memory.total),
            process_gb=self._process_gb(),
        )

    def _gpu(self) -> Usage:
        import pynvml

        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(self._device.index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            busy = None
            with suppress(pynvml.NVMLError):  # a part of a GPU does not say it
                busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            return Usage(
                utilisation=busy,
                memory_gb=_gigabytes(memory.used),
                memory_total_gb=_gigabytes(memory.total),
                process_gb=self._process_gb(),
            )
        finally:
            pynvml.nvmlShutdown()

    def resident_mib(self) -> float | None:
        """Main memory of the trainer's processes; pages that they share count for each."""
        with suppress(psutil.Error):
            trainer = psutil.Process(self._trainer)
            return sum(map(_resident, [trainer, *trainer.children(recursive=True)])) / _MIB
        return None

    def _process_gb(self) -> float | None:
        found = self.resident_mib()
        return None if found is None else round(found * _MIB / _GIB, 2)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has just ended
        return 0


def _gigabytes(size: int) -> float:
    return round(size / _GIB, 2)
