"""Runs a coroutine at once, up to where it first has to wait.

Delivering one event to a thousand idle connections needs a thousand calls of ASGI's `send`, which nearly always
return without waiting. Run here directly they cost a tenth of a task each; only the few that do wait (a full
socket buffer) become tasks.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

__all__ = ["Suspended", "step"]


T = TypeVar("T")


class Suspended(Generic[T]):
    """The rest of a coroutine that has begun to wait; awaiting it goes on from there."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def close(self) -> None:
        """Give up: what is left isn't run. Does nothing where it has ended."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        while True:
            try:
                try:
                    value = yield waits_for
                except BaseException as error:  # noqa: BLE001  (whatever it is, it belongs to the coroutine)
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(value)
            except StopIteration as end:
                result: T = end.value
                return result


def step(coroutine: Coroutine[Any, Any, T]) -> T | Suspended[T]:
    """Run a coroutine until it ends (its result) or waits (what is left of it). Its exceptions pass through."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    return Suspended(coroutine, waits_for)
