"""The rate at which one and the same acts: more than a person can do is no person's."""

from __future__ import annotations

__all__ = ["Rate"]

WINDOW_SECONDS = 10.0
MAX_KEYS = 4096
"""Ids whose newest times are kept, twice over at most: one that acts often enough to matter is always among them."""


class Rate:
    """Says of each action whether it is one too many of its kind within ten seconds. Memory is bounded."""

    def __init__(self, limit: int) -> None:
        """`limit` is 1 at least."""
        self._limit = limit
        # Of most ids there is one time only, which is then kept as it is: lists would have to be swept again and again.
        self._times: dict[str, float | list[float]] = {}
        self._older: dict[str, float | list[float]] = {}
        self._turn_at = 0.0

    def exceeds(self, key: str, now_seconds: float) -> bool:
        """Note an action, and say whether it is beyond `limit` within the last ten seconds (of a steady clock)."""
        times = self._times.get(key)
        if times is None:
            if now_seconds >= self._turn_at or len(self._times) >= MAX_KEYS:
                self._turn(now_seconds)
            times = self._older.pop(key, None)
            if times is None:
                self._times[key] = now_seconds
                return False
            self._times[key] = times
        if isinstance(times, float):
            times = self._times[key] = [times]
        times.append(now_seconds)
        # It holds the newest `limit` times, so the one that falls out is as many actions ago as are allowed.
        return len(times) > self._limit and now_seconds - times.pop(0) < WINDOW_SECONDS

    def _turn(self, now_seconds: float) -> None:
        """Drop whatever hasn't acted since the last turn."""
        self._older, self._times = self._times, {}
        self._turn_at = now_seconds + WINDOW_SECONDS
