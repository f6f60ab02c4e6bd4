"""The numbers of a period: clicks, views, visitors, what they were before, over time, and where most of them were.

They are read from the counts, so that a year costs what a day does. What no count is kept of (one user's clicks; one
banner's on one page) is counted from the rows, as far as `COUNTED_ROWS` goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Sum

from inlive_banner.buckets import Buckets, make_buckets
from inlive_banner.counts import TOP_LINES, Bar, ByLabel, Counts
from inlive_banner.envelope import VIEW
from inlive_banner.models import DayUnique, Dimension
from inlive_banner.periods import Period
from inlive_banner.query import EVERYTHING, OTHERS, PEOPLE, LogQuery
from inlive_banner.rows import LogRows

__all__ = ["COUNTED_ROWS", "Figures", "Totals", "read_figures"]

COUNTED_ROWS = 10_000
"""Rows that are counted one by one, at most: some ten milliseconds."""


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
class Figures:
    """The numbers that a page shows. None stands for what can't be said of this question."""

    totals: Totals
    has_more: bool = False
    """True where there may be more than were counted: not all rows were looked at, or more than `COUNTED_ROWS` fit."""
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
    series = query.series
    if series is None:
        return _from_rows(query, now, using)
    period = query.period
    counts = Counts(query.stream_id, query.counted_action, now=now, using=using)
    by_label = counts.by_label(*series, period)
    totals = _totals(by_label, query)
    is_whole = series[0] == Dimension.ALL
    pages = None
    if is_whole and period.key == "hour":
        pages = _from_rows(query, now, using).pages  # pages aren't counted by the minute
    elif is_whole:
        pages = counts.most(Dimension.PAGE, period, query.who)
    return Figures(
        totals=totals,
        before=_totals(counts.by_label(*series, period.preceding), query) if period.since else None,
        left_out=_totals(by_label, replace(query, who=OTHERS)).clicks if query.who == PEOPLE else 0,
        visitors=_visitors(query, period, using),
        visitors_before=_visitors(query, period.preceding, using) if period.since else None,
        buckets=counts.over_time(*series, period, query.who),
        banners=counts.most(Dimension.BANNER, period, query.who) if is_whole else None,
        pages=pages,
    )


def _totals(by_label: ByLabel, query: LogQuery) -> Totals:
    sums: Counter[str] = Counter()
    for (action, label), (count, viewed) in by_label.items():
        if not query.means(label):
            continue
        if action == query.counted_action:
            sums.update(clicks=count, viewed=viewed)
        if action == VIEW:
            sums.update(views=count)
    return Totals(**sums)


def _from_rows(query: LogQuery, now: datetime, using: str) -> Figures:
    # What is left out is read with what is counted: by themselves, both would look at the same rows.
    who = EVERYTHING if query.who == PEOPLE else query.who
    rows = LogRows(replace(query, who=who, action=query.counted_action), using=using)
    horizon = rows.horizon()
    counted = rows.newest(back_to=horizon)
    read = list(counted.values_list("label", "received_at", "viewed", "name", "page")[: COUNTED_ROWS + 1])
    has_more = horizon is not None or len(read) > COUNTED_ROWS
    del read[COUNTED_ROWS:]
    found = [row for row in read if query.means(row[0])]
    left_out = len(read) - len(found)
    totals = Totals(clicks=len(found), viewed=sum(viewed for _, _, viewed, _, _ in found))
    if has_more:
        return Figures(totals=totals, has_more=True, left_out=left_out)
    period = query.period
    times = [received for _, received, *_ in found]
    since, until = period.since, period.until
    if since is None or until is None:
        first = datetime.combine(times[-1].astimezone(UTC).date(), time(), UTC) if times else None
        since, until = first, max(times[0] + timedelta(microseconds=1), now) if times else None
    buckets = None
    if since is not None and until is not None:
        buckets = make_buckets(since, until, period.zone, is_hour=period.key == "hour", now=now)
        buckets = buckets.filled((time, 1) for time in times)
    return Figures(
        totals=totals,
        left_out=left_out,
        buckets=buckets,
        banners=None if query.banner else _most(name for _, _, _, name, _ in found),
        pages=None if query.page else _most(page for _, _, _, _, page in found),
    )


def _most(values: Iterable[str]) -> tuple[Bar, ...]:
    ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    return tuple(Bar(value=value, count=count) for value, count in ranked[:TOP_LINES])


def _visitors(query: LogQuery, period: Period, using: str) -> int | None:
    if query.page or query.who != PEOPLE or period.key == "hour":
        return None  # counted by banner and UTC day, people only
    days = DayUnique.objects.using(using).filter(stream_id=query.stream_id, action=query.counted_action)
    if query.banner:
        days = days.filter(name=query.banner)
    if period.since is not None and period.until is not None:
        # The UTC days that have the dates of the reader's: visitors are known by the day in UTC only.
        first, end = (moment.astimezone(period.zone).date() for moment in (period.since, period.until))
        days = days.filter(day__gte=first, day__lt=end)
    return days.aggregate(total=Sum("count"))["total"] or 0
