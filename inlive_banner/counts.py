"""The counts of a stream over a period, read from its rollups.

A period is covered by the longest spans that fit: months, days, and quarter hours at its two ends. Each stretch is a
part of one statement, because databases read an index well for one range and badly for several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeAlias

from django.db import connections
from django.db.models import IntegerField, Max, Min, QuerySet, Sum
from django.db.models.expressions import RawSQL

from inlive_banner.buckets import LONGEST_BY_DAY, Buckets, make_buckets
from inlive_banner.envelope import VIEW
from inlive_banner.models import Dimension, Rollup, Span, unindexed
from inlive_banner.periods import Period
from inlive_banner.query import EVERYTHING, PEOPLE

__all__ = ["TOP_LINES", "Bar", "ByLabel", "Counts"]

TOP_LINES = 10
"""Banners and pages that are listed."""

ByLabel: TypeAlias = dict[tuple[str, str], tuple[int, int]]
"""(action, label) -> (count, viewed)."""

_Stretch: TypeAlias = tuple[Span, datetime | None, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One of the values that had most."""

    value: str
    count: int


class Counts:
    """A stream's rollups of one action."""

    def __init__(self, stream_id: int, action: str, *, now: datetime, using: str) -> None:
        self._rollups = Rollup.objects.using(using).filter(stream_id=stream_id).order_by()
        self._action = action
        self._now = now
        self._using = using

    def by_label(self, dimension: Dimension, value: str, period: Period) -> ByLabel:
        """What the period had of the action and of views, by label."""
        series = self._rollups.filter(dimension=dimension, value=value, action__in={self._action, VIEW})
        parts = [
            # Summed here: to group them, SQLite would read an index that begins as they are grouped, and all of it.
            _in_stretch(series, stretch).values_list("action", "label", "count", "viewed")
            for stretch in _cover(period, self._now, has_minutes=dimension != Dimension.PAGE)
        ]
        found: ByLabel = {}
        # No part at all: a day that the zone has left out.
        for action, label, count, viewed in parts[0].union(*parts[1:], all=True) if parts else ():
            before = found.get((action, label), (0, 0))
            found[action, label] = (before[0] + count, before[1] + viewed)
        return found

    def most(self, dimension: Dimension, period: Period, who: str) -> tuple[Bar, ...]:
        """The values that had most, the most first."""
        of_action = self._rollups.filter(dimension=dimension, action=self._action)
        # By the label first, as the index has it.
        labels = [""] if who == PEOPLE else self._labels(with_people=who == EVERYTHING)
        parts = [
            # Summed outside: to group them here, SQLite would read the index that is ordered by value, which is longer.
            _in_stretch(of_action.filter(label=label), stretch).values_list("value", "count")
            for label in labels
            for stretch in _cover(period, self._now, has_minutes=dimension != Dimension.PAGE)
        ]
        return tuple(Bar(value=value, count=int(count)) for value, count in self._ranked(parts))

    def over_time(self, dimension: Dimension, value: str, period: Period, who: str) -> Buckets | None:
        """The counts in pieces that fit a chart; None where nothing was ever counted, or not by so short pieces."""
        series: QuerySet[Rollup] = self._rollups.filter(dimension=dimension, value=value, action=self._action)
        if who != EVERYTHING:
            series = unindexed(series, "label", "", is_equal=who == PEOPLE)
        since, until = period.since, period.until
        if since is None or until is None or until - since > LONGEST_BY_DAY:
            # No longer than there is something to show, whatever was asked for.
            days = series.filter(span=Span.DAY).aggregate(first=Min("start"), last=Max("start"))
            if days["first"] is None:
                return None
            end = max(days["last"] + timedelta(days=1), self._now)
            since, until = max(since or days["first"], days["first"]), min(until or end, end)
            if since >= until:
                return None
        buckets = make_buckets(since, until, period.zone, is_hour=period.key == "hour", now=self._now)
        stretches: list[_Stretch] = [(buckets.span, since, until)]
        if buckets.span == Span.DAY:  # the reader's first and last days aren't days of UTC
            stretches = list(_cover_by(since, until, (Span.DAY, Span.QUARTER)))
        if buckets.unit == "day":
            return buckets.filled(self._by_day(_in_stretch(series, stretches[0]), buckets))
        parts = [_in_stretch(series, stretch).values_list("start", "count") for stretch in stretches]
        return buckets.filled(parts[0].union(*parts[1:], all=True))

    def _by_day(self, rollups: QuerySet[Rollup], buckets: Buckets) -> Iterator[tuple[datetime, int]]:
        """The sums of the buckets, each with the bucket's beginning.

        A day is 96 quarter hours: the database sums a month of them in a fraction of the time that it takes to read it.
        """
        starts = [bucket.start for bucket in buckets.items]
        ends = [connections[self._using].ops.adapt_datetimefield_value(start) for start in starts[1:]]
        # As SQL: Django takes longer to write 30 conditions than the database to read the month.
        days = "".join(f" WHEN start < %s THEN {place}" for place in range(len(ends)))
        case = f"CASE{days} ELSE {len(ends)} END" if ends else "0"
        place = RawSQL(case, ends, output_field=IntegerField())  # noqa: S611  (numbers of ours; times as parameters)
        for index, count in rollups.annotate(place=place).values_list("place").annotate(Sum("count")):
            yield starts[index], count

    def _labels(self, *, with_people: bool) -> list[str]:
        ever = self._rollups.filter(dimension=Dimension.ALL, value="", span=Span.EVER, action=self._action)
        return [label for label in ever.values_list("label", flat=True) if label or with_people]

    def _ranked(self, parts: Iterable[QuerySet[Rollup, Any]]) -> list[tuple[str, int]]:
        # Written as SQL, because Django can't sum what a union gives. Each part is Django's own.
        compiled = [part.query.get_compiler(self._using).as_sql() for part in parts]
        if not compiled:
            return []
        parted = " UNION ALL ".join(f"SELECT * FROM ({sql}) AS part" for sql, _ in compiled)  # noqa: S608
        named = f"SELECT '' AS value, 0 AS counted WHERE 1 = 0 UNION ALL {parted}"
        sql = (
            f"SELECT ranked.value, SUM(ranked.counted) AS total FROM ({named}) AS ranked "  # noqa: S608
            f"GROUP BY ranked.value ORDER BY total DESC, ranked.value LIMIT {TOP_LINES}"
        )
        with connections[self._using].cursor() as cursor:
            cursor.execute(sql, [param for _, params in compiled for param in params])
            return list(cursor.fetchall())


def _in_stretch(rollups: QuerySet[Rollup], stretch: _Stretch) -> QuerySet[Rollup]:
    span, since, until = stretch
    rollups = rollups.filter(span=span)
    return rollups if since is None else rollups.filter(start__gte=since, start__lt=until)


def _cover(period: Period, now: datetime, *, has_minutes: bool) -> Iterator[_Stretch]:
    """The stretches that together are the period, each moment once; of what is still to come, nothing or all."""
    if period.since is None or period.until is None:
        yield (Span.EVER, None, None)
    elif period.key == "hour" and has_minutes:
        yield (Span.MINUTE, period.since, period.until)
    else:
        until = period.until
        if until > now:
            # Nothing has come of the rest of the month yet, so the month is what the quarter hours up to now would be.
            until = _next(_start(until, Span.MONTH), Span.MONTH)
        yield from _cover_by(period.since, until, (Span.MONTH, Span.DAY, Span.QUARTER))


def _cover_by(since: datetime, until: datetime, spans: tuple[Span, ...]) -> Iterator[_Stretch]:
    if since >= until:
        return
    span, *shorter = spans
    first, last = (_start(since, span), _start(until, span))
    if first < since:
        first = _next(first, span)
    if not shorter:  # whatever isn't on a quarter hour is taken to be
        yield (span, since, until)
    elif first >= last:
        yield from _cover_by(since, until, tuple(shorter))
    else:
        yield (span, first, last)
        yield from _cover_by(since, first, tuple(shorter))
        yield from _cover_by(last, until, tuple(shorter))


def _start(moment: datetime, span: Span) -> datetime:
    """Where the span that the moment lies in begins."""
    day = moment.astimezone(UTC).date()
    if span == Span.MONTH:
        day = day.replace(day=1)
    return datetime.combine(day, time(), UTC)


def _next(start: datetime, span: Span) -> datetime:
    """Where the next span begins."""
    if span == Span.DAY:
        return start + timedelta(days=1)
    return (start + timedelta(days=32)).replace(day=1)
