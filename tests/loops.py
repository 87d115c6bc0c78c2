"""Coroutines in tests: a browser of another test keeps a loop in the thread of all."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def in_a_loop(scene: Coroutine[Any, Any, T]) -> T:
    """Play a scene in a loop and a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, scene).result()
