"""How fast one stream is being recorded, and how far it still is to the end that the channel named. Only numbers."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.tail.records import Init
from inlive_banner.tail.reporter import lag_seconds
from inlive_banner.tail.sink import Report

__all__ = ["Backlog", "Pace", "RateWindow", "View"]

_WINDOW_SECONDS = 5.0
"""Long enough to be read, short enough to show that nothing comes any more."""

_SHORTEST_SECONDS = 1.0
"""What came in the first moment isn't a rate yet."""


class RateWindow:
    """How many per second, over the last seconds. `clock` gives seconds, and never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, seconds: float = _WINDOW_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._began = clock()
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, count: int) -> None:
        """So many have come now."""
        now = self._clock()
        self._samples.append((now, count))
        self._total += count
        self._forget(now)

    def per_second(self) -> float:
        """The rate now; 0 where nothing has come within the window."""
        now = self._clock()
        self._forget(now)
        return self._total / min(max(now - self._began, _SHORTEST_SECONDS), self._seconds)

    def _forget(self, now: float) -> None:
        while self._samples and self._samples[0][0] <= now - self._seconds:
            self._total -= self._samples.popleft()[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the channel held already when the connection began, while some of it isn't recorded yet."""

    done: int
    """Events of the log that are recorded, from 0 to `total`."""
    total: int
    per_second: float
    seconds_left: float | None
    """At this rate, in whole seconds; None while nothing moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a stream is getting on at one moment."""

    recorded: int
    """New rows since the start."""
    per_second: float
    """New rows, over the last seconds."""
    lag_seconds: float | None
    """How late the newest interaction was recorded, if that was within the last seconds."""
    idle_seconds: float
    """Since the last batch, or since the start."""
    backlog: Backlog | None
    """None where the worker has caught up, or nobody knows how far it has to go."""


class Pace:
    """Takes what one worker tells, in its thread, and gives a view of it, in any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recorded = 0
        self._clicks = RateWindow(clock=clock)
        self._lag_seconds: float | None = None
        self._last_batch = clock()
        self._start: EventId | None = None
        self._head: EventId | None = None
        """Where the backlog ends; None where there is none."""
        self._position: EventId | None = None
        self._events = RateWindow(clock=clock)

    def connected(self, init: Init) -> None:
        """A connection has begun, from a position, where the log's newest event was the head."""
        start, head = init.position, parse_event_id(init.head)
        with self._lock:
            known = start is not None and head is not None and start.epoch == head.epoch and start.seq < head.seq
            self._start, self._head = (start, head) if known else (None, None)
            self._position = start
            self._events = RateWindow(clock=self._clock)

    def batch(self, report: Report) -> None:
        """A batch has been committed."""
        position = parse_event_id(report.position)
        with self._lock:
            self._recorded += report.inserted
            self._clicks.add(report.inserted)
            self._lag_seconds = lag_seconds(report)
            self._last_batch = self._clock()
            if self._head is not None and position is not None and position.epoch == self._head.epoch:
                self._events.add(position.seq - (self._position.seq if self._position is not None else position.seq))
                self._position = position
                if position.seq >= self._head.seq:
                    self._head = None

    def view(self) -> View:
        """How the stream is getting on now."""
        with self._lock:
            idle_seconds = self._clock() - self._last_batch
            return View(
                recorded=self._recorded,
                per_second=self._clicks.per_second(),
                lag_seconds=self._lag_seconds if idle_seconds < _WINDOW_SECONDS else None,
                idle_seconds=idle_seconds,
                backlog=self._backlog(),
            )

    def _backlog(self) -> Backlog | None:
        if self._head is None or self._start is None or self._position is None:
            return None
        total = self._head.seq - self._start.seq
        done = max(self._position.seq - self._start.seq, 0)
        per_second = self._events.per_second()
        seconds_left = math.ceil((total - done) / per_second) if per_second > 0 else None
        return Backlog(done=done, total=total, per_second=per_second, seconds_left=seconds_left)
