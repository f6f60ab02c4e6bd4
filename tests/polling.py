"""Waiting for something to become true: the one place in the tests that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1
"""Short enough to be prompt, long enough to leave the cores to what is waited for."""


def wait_until(condition: Callable[[], T], *, deadline_seconds: float = 10, what: str = "") -> T:
    """Call `condition` until it returns something true, and return that.

    Raises `TimeoutError`, saying `what` was waited for and what came last, when the deadline has passed. What
    `condition` itself raises goes through: a condition that may fail meanwhile catches it and returns None.
    """
    deadline = time.monotonic() + deadline_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            awaited = what or getattr(condition, "__name__", repr(condition))
            raise TimeoutError(f"Waited {deadline_seconds} s in vain for: {awaited}. Last seen: {value!r}.")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
