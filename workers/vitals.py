"""What the agent tells of itself with each heartbeat, and with a trial's end."""

import os
import re
from collections.abc import Callable, Mapping

from tuner.spec.logs import BYTES, tail
from tuner.spec.vitals import Usage, Vitals

_READ = 2 * BYTES  # escapes and progress bars take their share
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)


class Pulse:
    """Gathers what is new since the server last took something in; one lease, any thread."""

    def __init__(
        self,
        usage: Callable[[], Usage],
        log: Callable[[int], str],
        *,
        secrets: tuple[str, ...] = (),
    ) -> None:
        """Ask `usage` how busy the device is, and `log` for so many last bytes of output."""
        self._usage, self._output = usage, log
        self._secrets = (*secrets, *secrets_in(os.environ))
        self._sent: str | None = None

    def vitals(self) -> Vitals:
        """How busy the device is, and the log where it has changed."""
        said = self.log()
        return Vitals(usage=self._usage(), log=None if said == (self._sent or "") else said)

    def arrived(self, vitals: Vitals) -> None:
        """Note that the server has taken it in."""
        if vitals.log is not None:
            self._sent = vitals.log

    def log(self) -> str:
        """The end of the log as it may leave this machine; empty where it cannot be read."""
        try:
            text = self._output(_READ)
        except OSError:
            return self._sent or ""
        return tail(text, secrets=self._secrets, is_cut=len(text.encode()) >= _READ)


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables whose names say that they are secrets."""
    return tuple(value for name, value in environment.items() if _SECRET.search(name) and value)
