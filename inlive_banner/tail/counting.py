"""The counts of what is new: by minute, quarter hour and day, and by day each visitor once.

All of it belongs to the transaction that records a batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

from django.db import connections
from django.db.models import QuerySet
from django.utils import timezone

from inlive_banner.models import BEGINNING, DayUnique, DayVisitor, Dimension, Position, Rollup, Span, rollup_value
from inlive_banner.tail.inserting import VisitorKey, add_counts, insert_visitors
from inlive_banner.tail.records import Row

__all__ = [
    "PRUNED_AT_ONCE",
    "VISITORS_KEPT",
    "count_interactions",
    "count_visitors",
    "prune_days",
    "prune_quiet_stream",
    "rollups_of",
]

VISITORS_KEPT = timedelta(days=3)
"""Behind the newest day: a log is in the order of its clock, give or take a clock that was set. Minutes, too."""

_Finest: TypeAlias = tuple[str, str, str, str, datetime]
"""Action, label, name, page and minute: what all counts are made from."""

_Series: TypeAlias = tuple[str, str, str, int, datetime, str]
"""Dimension, value, action, span, start and label."""

_QUIET = timedelta(hours=1)
"""Without a batch for so long a worker isn't catching up on days before."""

PRUNED_AT_ONCE = 2_000
"""Old visitors that leave with one batch: more than one adds, so they get fewer, and it stays fast."""


def count_interactions(using: str, stream_id: int, rows: Iterable[Row]) -> None:
    """Add the rows, each of which is new, to the counts that each of them is in."""
    add_counts(connections[using], Rollup, rollups_of(stream_id, rows), added=("count", "viewed"))


def rollups_of(stream_id: int, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """What the rows come to in each count that they are in: the columns of `Rollup`.

    All in one order everywhere: two workers that wait for each other's rows would never end.
    """
    finest: Counter[_Finest] = Counter()
    viewed: Counter[_Finest] = Counter()
    for row in rows:
        minute = row.received_at.replace(second=0, microsecond=0)
        key = (row.action, row.label, row.name, row.page, minute)
        finest[key] += 1
        if row.viewed:
            viewed[key] += 1
    counts: Counter[_Series] = Counter()
    firsts: Counter[_Series] = Counter()
    for key, count in finest.items():
        for series in _series(key):
            counts[series] += count
            firsts[series] += viewed[key]
    names = ("dimension", "value", "action", "span", "start", "label")
    return [
        {"stream_id": stream_id, **dict(zip(names, series, strict=True)), "count": count, "viewed": firsts[series]}
        for series, count in sorted(counts.items())
    ]


def _series(key: _Finest) -> Iterator[_Series]:
    action, label, name, page, minute = key
    for span in Span:
        start = _start(minute, span)
        yield (Dimension.ALL, "", action, span, start, label)
        yield (Dimension.BANNER, rollup_value(name), action, span, start, label)
        if span != Span.MINUTE:
            yield (Dimension.PAGE, rollup_value(page), action, span, start, label)


def _start(minute: datetime, span: Span) -> datetime:
    if span == Span.MINUTE:
        return minute
    if span == Span.QUARTER:
        return minute.replace(minute=minute.minute - minute.minute % 15)
    if span == Span.DAY:
        return minute.replace(hour=0, minute=0)
    return minute.replace(day=1, hour=0, minute=0) if span == Span.MONTH else BEGINNING


def count_visitors(using: str, stream_id: int, rows: Iterable[Row]) -> None:
    """Count the visitors of the rows, each of which is new, who weren't counted yet that day. People only."""
    visitors: defaultdict[VisitorKey, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.visitor and not row.label:
            visitors[row.received_at.date(), row.action, row.name][row.visitor] = None
    connection = connections[using]
    days = [
        {"stream_id": stream_id, "day": day, "action": action, "name": name, "count": count}
        for (day, action, name), count in insert_visitors(connection, stream_id, visitors).items()
        if count
    ]
    add_counts(connection, DayUnique, days, added=("count",))


def prune_days(using: str, stream_id: int, *, before: date) -> int:
    """Forget some of the visitors and minutes of the days before this one.

    Returns how many, at most `PRUNED_AT_ONCE` of each.
    """
    visitors = DayVisitor.objects.using(using).filter(stream_id=stream_id, day__lt=before)
    midnight = datetime.combine(before, time(), UTC)
    minutes = Rollup.objects.using(using).filter(stream_id=stream_id, span=Span.MINUTE, start__lt=midnight)
    # Their index begins with the dimension; actions and labels come before the time, so each is looked for by itself.
    by_dimension = [minutes.filter(dimension=dimension) for dimension in (Dimension.ALL, Dimension.BANNER)]
    old = [
        some.filter(action=action, label=label)
        for some in by_dimension
        for action, label in some.values_list("action", "label").distinct().order_by()
    ]
    return sum(_delete_some(using, some) for some in (visitors, *old))


def _delete_some(using: str, old: QuerySet[Any]) -> int:
    model = old.model._default_manager.using(using)  # noqa: SLF001
    deleted: int = model.filter(pk__in=old.values("pk")[:PRUNED_AT_ONCE]).delete()[0]
    return deleted


def prune_quiet_stream(using: str, stream_id: int) -> int:
    """Forget old visitors by the clock where no batch comes any more to do it; returns as `prune_days`."""
    now = timezone.now()
    if not Position.objects.using(using).filter(stream_id=stream_id, updated_at__lt=now - _QUIET).exists():
        return 0
    return prune_days(using, stream_id, before=now.astimezone(UTC).date() - VISITORS_KEPT)
