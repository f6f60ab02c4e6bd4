"""The numbers of a period: clicks, views, visitors, what they were before, over time, and where most of them were.

They are read from the counts, so that a year costs what a day does. What no count is kept of (one user's clicks; one
banner's on one page) is counted from the rows, as far as `COUNTED_ROWS` goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Max, Min, Q, QuerySet, Sum

from inlive_banner.buckets import Buckets, make_buckets
from inlive_banner.envelope import CLICK, VIEW
from inlive_banner.models import DayUnique, Dimension, Interaction, Rollup, Span
from inlive_banner.periods import Period
from inlive_banner.query import OTHERS, PEOPLE, LogQuery

__all__ = ["COUNTED_ROWS", "TOP_LINES", "Bar", "Figures", "Totals", "read_figures"]

COUNTED_ROWS = 10_000
"""Rows that are counted one by one, at most: some ten milliseconds."""
TOP_LINES = 10
"""Banners and pages that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of one period."""

    clicks: int = 0
    """Or of the action that is asked for."""
    viewed: int = 0
    """Clicks among them that were the first on a banner whose view was counted."""
    views: int = 0

    @property
    def click_rate(self) -> float | None:
        """Of a hundred views, those that led to a click: 0 to 100. None where no view was counted."""
        # A view can get lost where its click doesn't, but no page has more than all of its views clicked.
        return min(100 * self.viewed / self.views, 100.0) if self.views else None

    @property
    def clicks_without_view(self) -> int:
        """Clicks that aren't in the click rate: further ones on one view, and those before a view was counted."""
        return max(self.clicks - self.viewed, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One of the values that had most."""

    value: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers that a page shows. None stands for what can't be said of this question."""

    totals: Totals
    has_more: bool = False
    """True where there are more rows than were counted: the clicks are those of the newest `COUNTED_ROWS`."""
    before: Totals | None = None
    """The period before."""
    left_out: int = 0
    """What isn't counted because it isn't people's; 0 where everything is."""
    visitors: int | None = None
    """People who did it: each counts once a banner and UTC day."""
    visitors_before: int | None = None
    buckets: Buckets | None = None
    """The counts over time."""
    banners: tuple[Bar, ...] | None = None
    """The banners that had most, the most first."""
    pages: tuple[Bar, ...] | None = None


def read_figures(query: LogQuery, *, now: datetime, using: str = DEFAULT_DB_ALIAS) -> Figures:
    """Count what the query asks for. A handful of queries, none of which reads more with more rows."""
    if query.series is None:
        return _from_rows(query, now, using)
    period = query.period
    counts = _Counts(query, using)
    others = None if query.who != PEOPLE else counts.clicks(labelled=True)
    return Figures(
        totals=counts.totals(period.since, period.until),
        before=counts.totals(*period.before) if period.since else None,
        left_out=others or 0,
        visitors=_visitors(query, period.since, period.until, using),
        visitors_before=_visitors(query, *period.before, using) if period.since else None,
        buckets=counts.buckets(now),
        banners=None if query.banner or query.page else counts.most(Dimension.BANNER),
        pages=None if query.banner or query.page else counts.pages(using),
    )


class _Counts:
    """The rollups that a query is about."""

    def __init__(self, query: LogQuery, using: str) -> None:
        self._query = query
        self._rollups = Rollup.objects.using(using).filter(stream_id=query.stream_id)
        series = query.series
        assert series is not None, "counted from the rows"  # noqa: S101
        self._dimension, self._value = series

    def _series(self, *, actions: Iterable[str], labels: Q | None = None) -> QuerySet[Rollup]:
        return self._rollups.filter(
            self._query.labels if labels is None else labels,
            dimension=self._dimension,
            value=self._value,
            action__in=list(actions),
        )

    def totals(self, since: datetime | None, until: datetime | None) -> Totals:
        action = self._query.counted_action
        series = self._series(actions={action, VIEW}).filter(self._within(since, until))
        counted, views = Q(action=action), Q(action=VIEW)
        sums = series.aggregate(
            clicks=Sum("count", filter=counted), viewed=Sum("viewed", filter=counted), views=Sum("count", filter=views)
        )
        return Totals(**{key: int(value or 0) for key, value in sums.items()})

    def clicks(self, *, labelled: bool) -> int:
        labels = ~Q(label="") if labelled else Q(label="")
        period = self._query.period
        series = self._series(actions=[self._query.counted_action], labels=labels)
        return series.filter(self._within(period.since, period.until)).aggregate(s=Sum("count"))["s"] or 0

    def most(self, dimension: Dimension) -> tuple[Bar, ...]:
        period = self._query.period
        found = (
            self._rollups.filter(
                self._query.labels,
                self._within(period.since, period.until),
                dimension=dimension,
                action=self._query.counted_action,
            )
            .values_list("value")
            .annotate(total=Sum("count"))
            .order_by("-total", "value")[:TOP_LINES]
        )
        return tuple(Bar(value=value, count=count) for value, count in found)

    def pages(self, using: str) -> tuple[Bar, ...] | None:
        if self._query.period.key != "hour":
            return self.most(Dimension.PAGE)
        # Pages aren't counted by the minute.
        pages = _counted(self._query, self._query.rows(using=using)).values_list("page", flat=True)
        found = list(pages[: COUNTED_ROWS + 1])
        return _most(found) if len(found) <= COUNTED_ROWS else None

    def buckets(self, now: datetime) -> Buckets | None:
        action, period = self._query.counted_action, self._query.period
        since, until = period.since, period.until
        if since is None or until is None:
            days = self._series(actions=[action]).filter(span=Span.DAY).aggregate(first=Min("start"), last=Max("start"))
            if days["first"] is None:
                return None
            since, until = days["first"], max(days["last"] + timedelta(days=1), now)
        buckets = make_buckets(since, until, period.zone, is_hour=period.key == "hour", now=now)
        within = Q(span=buckets.span, start__gte=since, start__lt=until)
        if buckets.span == Span.DAY:
            within = self._within(since, until)  # the reader's first and last days aren't days of UTC
        series = self._series(actions=[action]).filter(within)
        return buckets.filled(series.values_list("start").annotate(total=Sum("count")).order_by())

    def _within(self, since: datetime | None, until: datetime | None) -> Q:
        """The rollups that together cover the time, each moment once: whole days, and quarter hours at the ends."""
        if since is None or until is None:
            return Q(span=Span.DAY)
        if self._query.period.key == "hour":
            return Q(span=Span.MINUTE, start__gte=since, start__lt=until)
        first, last = _next_midnight(since), _midnight(until)
        if first >= last:
            return Q(span=Span.QUARTER, start__gte=since, start__lt=until)
        days = Q(span=Span.DAY, start__gte=first, start__lt=last)
        ends = [(since, first), (last, until)]
        for begin, end in ends:
            if begin < end:
                days |= Q(span=Span.QUARTER, start__gte=begin, start__lt=end)
        return days


def _from_rows(query: LogQuery, now: datetime, using: str) -> Figures:
    rows = _counted(query, query.rows(using=using))
    found = list(rows.values_list("received_at", "viewed", "name", "page")[: COUNTED_ROWS + 1])
    has_more = len(found) > COUNTED_ROWS
    del found[COUNTED_ROWS:]
    totals = Totals(clicks=len(found), viewed=sum(viewed for _, viewed, _, _ in found))
    others = _counted(query, replace(query, who=OTHERS).rows(using=using))[:COUNTED_ROWS]
    left_out = others.count() if query.who == PEOPLE else 0
    if has_more:
        return Figures(totals=totals, has_more=True, left_out=left_out)
    period = query.period
    times = [received for received, *_ in found]
    since, until = period.since, period.until
    if since is None or until is None:
        after = timedelta(microseconds=1)
        since, until = (_midnight(times[-1]), max(times[0] + after, now)) if times else (None, None)
    buckets = None
    if since is not None and until is not None:
        buckets = make_buckets(since, until, period.zone, is_hour=period.key == "hour", now=now)
        buckets = buckets.filled((time, 1) for time in times)
    return Figures(
        totals=totals,
        left_out=left_out,
        buckets=buckets,
        banners=None if query.banner else _most(name for _, _, name, _ in found),
        pages=None if query.page else _most(page for *_, page in found),
    )


def _counted(query: LogQuery, rows: QuerySet[Interaction]) -> QuerySet[Interaction]:
    return rows if query.action else rows.filter(action=CLICK)


def _most(values: Iterable[str]) -> tuple[Bar, ...]:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return tuple(Bar(value=value, count=count) for value, count in ranked[:TOP_LINES])


def _visitors(query: LogQuery, since: datetime | None, until: datetime | None, using: str) -> int | None:
    if query.page or query.who != PEOPLE or query.period.key == "hour":
        return None  # counted by banner and UTC day, people only
    days = DayUnique.objects.using(using).filter(stream_id=query.stream_id, action=query.counted_action)
    if query.banner:
        days = days.filter(name=query.banner)
    if since is not None and until is not None:
        days = days.filter(day__gte=_day(since, query.period), day__lt=_day(until, query.period))
    return days.aggregate(total=Sum("count"))["total"] or 0


def _day(moment: datetime, period: Period) -> date:
    """The UTC day that has the date of the reader's day: visitors are known by the day in UTC only."""
    return moment.astimezone(period.zone).date()


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)


def _next_midnight(moment: datetime) -> datetime:
    midnight = _midnight(moment)
    return midnight if midnight == moment else midnight + timedelta(days=1)
