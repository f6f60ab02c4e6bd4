"""How long to wait before the next attempt."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Exponential back-off with full jitter: each wait is drawn evenly between 0 and a bound that doubles.

    The jitter keeps many workers, all cut off by one restart, from coming back at one instant.
    """

    def __init__(self, *, first_seconds: float = 0.5, longest_seconds: float = 5.0) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self.attempts = 0
        """Waits that were drawn since the last `reset`."""

    def next_seconds(self) -> float:
        """Draw the next wait; its bound is twice that of the one before, up to the longest."""
        bound = min(self._longest_seconds, self._first_seconds * 2 ** min(self.attempts, 32))
        self.attempts += 1
        return random.uniform(0, bound)  # noqa: S311  (no secret: it only spreads load)

    def reset(self) -> None:
        """Begin again with the first bound; for when things work."""
        self.attempts = 0
