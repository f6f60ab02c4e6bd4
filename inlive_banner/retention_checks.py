"""System checks of how long rows are kept. As in `checks`, an id never changes its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.core.checks import CheckMessage, Error, register

from inlive_banner.conf import settings
from inlive_banner.exceptions import RowsRetentionError
from inlive_banner.retention import described_days, shortest_retention

__all__ = ["check_retention"]


@register("inlive_banner")
def check_retention(**_kwargs: Any) -> list[CheckMessage]:
    """Judge `ROWS_RETENTION`, of all streams and of each."""
    if not isinstance(settings.raw, Mapping):
        return []  # E001 says so
    try:
        shortest = shortest_retention()
    except RowsRetentionError:
        return []  # E002 says so
    return [*_too_short(shortest)]


def _too_short(shortest: timedelta) -> Iterator[CheckMessage]:
    needed = int(shortest.total_seconds())
    for place, value in _values():
        if isinstance(value, int | float) and 0 < value < shortest.total_seconds():
            yield Error(
                f"INLIVE_BANNER{place} is {value!r}, less than the {described_days(shortest)} for which the channel "
                "or a browser may deliver an interaction again: without its row it would be counted twice.",
                hint=f'In INLIVE_BANNER: "ROWS_RETENTION": {max(needed, 365 * 24 * 3600)}, or 0 to keep rows for ever',
                id="inlive_banner.E040",
            )


def _values() -> Iterator[tuple[str, Any]]:
    """Where it is set, and what to. What is of a wrong type, E002 and E005 say."""
    yield '["ROWS_RETENTION"]', settings.ROWS_RETENTION
    streams: Any = settings.STREAMS
    for key, options in streams.items() if isinstance(streams, Mapping) else ():
        if isinstance(options, Mapping):
            yield f'["STREAMS"][{key!r}]["ROWS_RETENTION"]', options.get("ROWS_RETENTION")
