"""Which networks of a study are known to break a bound, whatever else is drawn with them."""

import json

from tuner.configs.architecture import signature
from tuner.configs.paths import section_of
from tuner.configs.seeds import trial_config
from tuner.errors import InvalidSpec
from tuner.spec.space import Params
from tuner.spec.study import StudySpec


class Networks:
    """The architectures of trials that were ended before their training."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._closed: set[str] = set()
        self._signatures: dict[str, str | None] = {}

    def close(self, params: Params) -> None:
        """Note that the network with these params breaks a bound."""
        found = self._signature(params)
        if found is not None:
            self._closed.add(found)

    def is_closed(self, params: Params) -> bool:
        """Whether the network with these params is one of those."""
        return bool(self._closed) and self._signature(params) in self._closed

    def _signature(self, params: Params) -> str | None:
        """The network's signature, worked out once; None where the params do not make a config."""
        own = {path: value for path, value in params.items() if section_of(path) == "model"}
        key = json.dumps(own, sort_keys=True)
        if key not in self._signatures:
            try:
                self._signatures[key] = signature(trial_config(self._spec, own, 0))
            except InvalidSpec:
                self._signatures[key] = None
        return self._signatures[key]
