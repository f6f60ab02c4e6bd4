"""How old rows may become, and how old they have to be before they can go.

A row is what recognises its interaction, should it be delivered again: by a log of another epoch, or by a browser that
never got its answer. A row that went too soon would come back, and be counted twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from inlive_banner.conf import settings
from inlive_banner.exceptions import RowsRetentionError

__all__ = ["described_days", "rows_before", "shortest_retention"]

_BROWSERS_KEEP = timedelta(days=7)
"""What couldn't be sent waits so long in a browser (`MAX_AGE` in retry.js)."""

_TRIMMING = timedelta(hours=1)
"""What is old leaves the channel's log by and by, and by another machine's clock."""

_LONGEST = timedelta(days=36_525)
"""A hundred years. Longer ones could lead to moments that no database has."""


def shortest_retention() -> timedelta:
    """The age that rows must reach: until then the channel or a browser may deliver them again."""
    return max(_length(settings.RETENTION, "RETENTION"), _BROWSERS_KEEP)


def rows_before(stream_id: int, *, now: datetime, age: timedelta | None = None) -> datetime | None:
    """The moment (aware) before which a stream's rows were received that are old enough to go; None where none are.

    `age` is taken in the place of the stream's `ROWS_RETENTION`. Raises `RowsRetentionError` where it is too low, and
    `ConfigurationError`.
    """
    name = "The age"
    if age is None:
        name = f"ROWS_RETENTION of stream {stream_id}"
        age = _length(settings.rows_retention(stream_id), name)
        if not age:
            return None
    shortest = shortest_retention()
    if age < shortest:
        raise RowsRetentionError(
            f"{name} is {described_days(age)}, and must be {described_days(shortest)} at least: until then the "
            "channel (RETENTION) or a browser (7 days) may deliver an interaction again, and only its row tells that "
            "it is counted already."
        )
    return now - max(age, shortest + _TRIMMING)


def described_days(length: timedelta) -> str:
    """A length of time in days, for people."""
    days = round(length / timedelta(days=1), 3)
    return "1 day" if days == 1 else f"{days:g} days"


def _length(seconds: Any, name: str) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise RowsRetentionError(f"{name} is {seconds!r}; it must be a number of seconds, such as {365 * 24 * 3600}.")
    return timedelta(seconds=min(seconds, _LONGEST.total_seconds()))
