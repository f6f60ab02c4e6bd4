"""A period cut into pieces that fit a chart: minutes, hours, days, weeks or months of the reader's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from inlive_banner.models import Span

__all__ = ["LONGEST_BY_DAY", "Bucket", "Buckets", "make_buckets"]

_MAX_HOURS = timedelta(days=2)
LONGEST_BY_DAY = timedelta(days=62)
"""A day of a reader's zone is read as 96 quarter hours. Longer periods are read, and cut, by days in UTC."""
_MAX_WEEKS = timedelta(days=3 * 366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One piece."""

    start: datetime
    """Aware, UTC."""
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """The pieces of a period, in their order, without gaps."""

    unit: str
    """`minute`, `hour`, `day`, `week` or `month`."""
    span: Span
    """What rollups they are counted from."""
    zone: tzinfo
    """Whose hours and days these are."""
    items: tuple[Bucket, ...]
    until: datetime
    """Where the last one ends. Aware, UTC."""

    def filled(self, counts: Iterable[tuple[datetime, int]]) -> Buckets:
        """The same with these counts added, each to the piece that its time lies in; outside, it is passed over."""
        starts = [bucket.start for bucket in self.items]
        sums = [bucket.count for bucket in self.items]
        for moment, count in counts:
            index = bisect_right(starts, moment) - 1
            if index >= 0 and moment < self.until:
                sums[index] += count
        items = tuple(Bucket(start=start, count=count) for start, count in zip(starts, sums, strict=True))
        return replace(self, items=items)

    @property
    def most(self) -> int:
        """The highest count."""
        return max((bucket.count for bucket in self.items), default=0)


def make_buckets(since: datetime, until: datetime, zone: tzinfo, *, is_hour: bool, now: datetime) -> Buckets:
    """Cut the time; all moments aware. `is_hour` asks for minutes, which end with the present one."""
    if is_hour:
        until = min(until, now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1))
        return _made("minute", Span.MINUTE, zone, _steps(since, until, timedelta(minutes=1)), until)
    length = until - since
    if length <= _MAX_HOURS:
        return _made("hour", Span.QUARTER, zone, _steps(since, until, timedelta(hours=1)), until)
    if length <= LONGEST_BY_DAY:
        starts = [_midnight(day, zone) for day in _days(since.astimezone(zone).date(), until, zone)]
        return _made("day", Span.QUARTER, zone, starts, until)
    days = _days(since.astimezone(UTC).date(), until, UTC)
    if length <= _MAX_WEEKS:
        unit, firsts = "week", sorted({day - timedelta(days=day.weekday()) for day in days})
    else:
        unit, firsts = "month", sorted({day.replace(day=1) for day in days})
    return _made(unit, Span.DAY, UTC, [_midnight(day, UTC) for day in firsts], until)


def _made(unit: str, span: Span, zone: tzinfo, starts: list[datetime], until: datetime) -> Buckets:
    return Buckets(unit=unit, span=span, zone=zone, items=tuple(Bucket(start=start) for start in starts), until=until)


def _steps(since: datetime, until: datetime, step: timedelta) -> list[datetime]:
    """Equal steps: by the hour even where clocks are set meanwhile, since hours are counted in UTC."""
    return [since + step * number for number in range(-(-(until - since) // step))]


def _days(first: date, until: datetime, zone: tzinfo) -> list[date]:
    last = (until - timedelta(microseconds=1)).astimezone(zone).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
