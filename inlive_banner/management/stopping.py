"""How a command that works in batches is stopped: after the batch that it is at."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["Stop", "stopped_by_signals"]


@dataclass(slots=True)
class Stop:
    """Whether it is to stop."""

    is_wanted: bool = False


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Say so on the first SIGTERM or SIGINT; the second raises `KeyboardInterrupt` at once. Then as before.

    Outside the main thread, where Python handles no signals, nobody says so.
    """
    stop = Stop()

    def handle(_signum: int, _frame: FrameType | None) -> None:
        if stop.is_wanted:
            raise KeyboardInterrupt
        stop.is_wanted = True

    is_main = threading.current_thread() is threading.main_thread()
    signals = (signal.SIGTERM, signal.SIGINT) if is_main else ()
    before = {signum: signal.signal(signum, handle) for signum in signals}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
