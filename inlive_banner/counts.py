"""The counts of a stream over a period, read from its rollups.

A period is covered by the longest spans that fit: months, days, and quarter hours at its two ends; where more than half
of a month or day is meant, by all of it without the rest. Each stretch is a part of one statement, because databases
read an index well for one range and badly for several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple, TypeAlias

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


_Part: TypeAlias = tuple[str, list[Any]]
"""A statement and its parameters."""


class _Stretch(NamedTuple):
    """Rollups of one span, one after the other."""

    span: Span
    since: datetime | None
    until: datetime | None
    sign: int = 1
    """-1 where they are to be taken off: they are the rest of a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One of the values that had most."""

    value: str
    count: int


class Counts:
    """A stream's rollups of one action."""

    def __init__(self, stream_id: int, action: str, *, now: datetime, using: str) -> None:
        self._stream_id = stream_id
        self._rollups = Rollup.objects.using(using).filter(stream_id=stream_id).order_by()
        self._action = action
        self._now = now
        self._using = using

    def by_label(self, dimension: Dimension, value: str, period: Period) -> ByLabel:
        """What the period had of the action and of views, by label."""
        stretches = list(_cover(period, self._now, has_minutes=dimension != Dimension.PAGE))
        found: ByLabel = {}
        # Summed here: to group them, SQLite would read an index that begins as they are grouped, and all of it.
        parts = [
            self._part(("action", "label"), stretch, dimension=dimension, action=of_action, value=value)
            for of_action in sorted({self._action, VIEW})
            for stretch in stretches
        ]
        for action, label, count, viewed in self._rows("{parts}", parts):
            before = found.get((action, label), (0, 0))
            found[action, label] = (before[0] + count, before[1] + viewed)
        return found

    def most(self, dimension: Dimension, period: Period, who: str) -> tuple[Bar, ...]:
        """The values that had most, the most first."""
        # By the label first, as the index has it.
        labels = [""] if who == PEOPLE else self._labels(with_people=who == EVERYTHING)
        # Summed outside: to group them here, SQLite would read the index that is ordered by value, which is longer.
        parts = [
            self._part(("value",), stretch, dimension=dimension, action=self._action, label=label)
            for label in labels
            for stretch in _cover(period, self._now, has_minutes=dimension != Dimension.PAGE)
        ]
        # The empty part is for where there is but one: SQLite would make that one statement with what is around it.
        ranked = (
            "SELECT parts.value, SUM(parts.counted) AS total FROM (SELECT '' AS value, 0 AS counted, 0 AS viewed "  # noqa: S608  (ours)
            "WHERE 1 = 0 UNION ALL {parts}) AS parts GROUP BY parts.value "
            f"HAVING SUM(parts.counted) > 0 ORDER BY total DESC, parts.value LIMIT {TOP_LINES}"
        )
        return tuple(Bar(value=value, count=int(count)) for value, count in self._rows(ranked, parts))

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
        stretches = [_Stretch(buckets.span, since, until)]
        if buckets.span == Span.DAY:  # the reader's first and last days aren't days of UTC
            stretches = list(_cover_by(since, until, (Span.DAY, Span.QUARTER), may_take_off=False))
        if buckets.unit in ("day", "week", "month"):
            return buckets.filled(
                piece for stretch in stretches for piece in self._in_pieces(_in_stretch(series, stretch), buckets)
            )
        parts = [_in_stretch(series, stretch).values_list("start", "count") for stretch in stretches]
        return buckets.filled(parts[0].union(*parts[1:], all=True))

    def _in_pieces(self, rollups: QuerySet[Rollup], buckets: Buckets) -> Iterator[tuple[datetime, int]]:
        """The sums of the buckets, each with the bucket's beginning.

        A day is 96 quarter hours: the database sums a month of them in a fraction of the time that it takes to read it,
        and a year of days as well.
        """
        starts = [bucket.start for bucket in buckets.items]
        ends = [connections[self._using].ops.adapt_datetimefield_value(start) for start in starts[1:]]
        # As SQL: Django takes longer to write 30 conditions than the database to read the month.
        pieces = "".join(f" WHEN start < %s THEN {place}" for place in range(len(ends)))
        case = f"CASE{pieces} ELSE {len(ends)} END" if ends else "0"
        place = RawSQL(case, ends, output_field=IntegerField())  # noqa: S611  (numbers of ours; times as parameters)
        for index, count in rollups.annotate(place=place).values_list("place").annotate(Sum("count")):
            yield starts[index], count

    def _labels(self, *, with_people: bool) -> list[str]:
        ever = self._rollups.filter(dimension=Dimension.ALL, value="", span=Span.EVER, action=self._action)
        return [label for label in ever.values_list("label", flat=True) if label or with_people]

    def _part(self, columns: Sequence[str], stretch: _Stretch, **filters: str) -> _Part:
        """The counts of one stretch: the columns, count and viewed. Negative where they are to be taken off."""
        # As SQL: a page of a year has 20 of these, and Django takes longer to write them than the database to read.
        operations = connections[self._using].ops
        quote = operations.quote_name
        conditions: list[tuple[str, Any]] = [
            ("stream_id = %s", self._stream_id),
            ("span = %s", int(stretch.span)),
            *((f"{quote(column)} = %s", str(value)) for column, value in filters.items()),
        ]
        if stretch.since is not None:
            conditions += (
                (f"{quote('start')} {sign} %s", operations.adapt_datetimefield_value(moment))
                for sign, moment in ((">=", stretch.since), ("<", stretch.until))
            )
        selected = ", ".join(
            [
                *(f"{quote(column)} AS {quote(column)}" for column in columns),
                f"{stretch.sign} * {quote('count')} AS counted",
                f"{stretch.sign} * viewed AS viewed",
            ]
        )
        where = " AND ".join(condition for condition, _ in conditions)
        # Names of ours, and _meta is Django's public way to a table's; values are parameters.
        sql = f"SELECT {selected} FROM {quote(Rollup._meta.db_table)} WHERE {where}"  # noqa: S608, SLF001  (see above)
        return sql, [value for _, value in conditions]

    def _rows(self, sql: str, parts: Sequence[_Part]) -> list[Any]:
        """What the statement gives, in which `{parts}` are all of them; nothing where there is none.

        That is for a day that the zone has left out.
        """
        if not parts:
            return []
        with connections[self._using].cursor() as cursor:
            together = " UNION ALL ".join(part for part, _ in parts)
            cursor.execute(sql.format(parts=together), [value for _, values in parts for value in values])
            return list(cursor.fetchall())


def _in_stretch(rollups: QuerySet[Rollup], stretch: _Stretch) -> QuerySet[Rollup]:
    rollups = rollups.filter(span=stretch.span)
    if stretch.since is None:
        return rollups
    return rollups.filter(start__gte=stretch.since, start__lt=stretch.until)


def _cover(period: Period, now: datetime, *, has_minutes: bool) -> Iterator[_Stretch]:
    """The stretches that together are the period, each moment once; of what is still to come, nothing or all."""
    if period.since is None or period.until is None:
        yield _Stretch(Span.EVER, None, None)
    elif period.key == "hour" and has_minutes:
        yield _Stretch(Span.MINUTE, period.since, period.until)
    else:
        until = period.until
        if until > now:
            # Nothing has come of the rest of the month yet, so the month is what the quarter hours up to now would be.
            until = _next(_start(until, Span.MONTH), Span.MONTH)
        yield from _cover_by(period.since, until, (Span.MONTH, Span.DAY, Span.QUARTER))


def _cover_by(
    since: datetime, until: datetime, spans: tuple[Span, ...], *, may_take_off: bool = True, sign: int = 1
) -> Iterator[_Stretch]:
    if since >= until:
        return
    span, *shorter = spans
    if not shorter:  # whatever isn't on a quarter hour is taken to be
        yield _Stretch(span, since, until, sign)
        return
    first, last = _start(since, span), _start(until, span)
    added: list[tuple[datetime, datetime]] = []
    taken_off: list[tuple[datetime, datetime]] = []
    if first < since:
        following = _next(first, span)
        if may_take_off and following <= until and since - first < following - since:
            taken_off.append((first, since))
        else:
            added.append((since, min(following, until)))
            first = following
    if last < until and first <= last:
        following = _next(last, span)
        if may_take_off and following - until < until - last:
            taken_off.append((until, following))
            last = following
        else:
            added.append((last, until))
    if first < last:
        yield _Stretch(span, first, last, sign)
    for pieces, sign_of_pieces in ((added, sign), (taken_off, -sign)):
        for begin, end in pieces:
            yield from _cover_by(begin, end, tuple(shorter), may_take_off=may_take_off, sign=sign_of_pieces)


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
