"""Logging of the long-running commands: one line per state change on standard error."""

import logging


def set_up(level: str) -> None:
    """Log to standard error from a level on; libraries only their warnings."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    for room in ("tuner", "api", "workers"):
        logging.getLogger(room).setLevel(level.upper())
