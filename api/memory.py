"""Garbage collections of a process that serves."""

import gc

# Reading a study of ten thousand trials makes a hundred thousand objects that have no cycles: with
# Python's own numbers, every page would bring on several full collections.
_YOUNG, _MIDDLE, _OLD = 50_000, 20, 50


def freeze_start() -> None:
    """Leave what was loaded at the start out of later collections, which would look through all of
    it each time, a tenth of a second long, and keep every report waiting; and collect less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
