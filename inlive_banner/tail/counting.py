"""The counts of what is new: by quarter hour, and by day each visitor once.

All of it belongs to the transaction that records a batch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.db import connections
from django.utils import timezone

from inlive_banner.models import DayUnique, DayVisitor, Position, Rollup
from inlive_banner.tail.inserting import VisitorKey, add_counts, insert_visitors
from inlive_banner.tail.records import Row

__all__ = [
    "PRUNED_AT_ONCE",
    "VISITORS_KEPT",
    "count_interactions",
    "count_visitors",
    "prune_quiet_stream",
    "prune_visitors",
]

VISITORS_KEPT = timedelta(days=3)
"""Behind the newest day: a log is in the order of its clock, give or take a clock that was set."""

_QUIET = timedelta(hours=1)
"""Without a batch for so long a worker isn't catching up on days before."""

PRUNED_AT_ONCE = 2_000
"""Old visitors that leave with one batch: more than one adds, so they get fewer, and it stays fast."""


def count_interactions(using: str, stream_id: int, rows: Iterable[Row]) -> None:
    """Add the rows, each of which is new, to the counts of their quarter hours."""
    counts: Counter[tuple[str, datetime, str, str]] = Counter()
    viewed: Counter[tuple[str, datetime, str, str]] = Counter()
    for row in rows:
        key = (row.action, _quarter(row.received_at), row.name, row.label)
        counts[key] += 1
        if row.viewed:
            viewed[key] += 1
    names = ("action", "quarter", "name", "label")
    rollups = [
        {"stream_id": stream_id, **dict(zip(names, key, strict=True)), "count": count, "viewed": viewed[key]}
        for key, count in counts.items()
    ]
    add_counts(connections[using], Rollup, rollups, added=("count", "viewed"))


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


def prune_visitors(using: str, stream_id: int, *, before: date) -> int:
    """Forget some of the visitors of the days before this one; returns how many, at most `PRUNED_AT_ONCE`."""
    visitors = DayVisitor.objects.using(using)
    old = visitors.filter(stream_id=stream_id, day__lt=before).values("pk")[:PRUNED_AT_ONCE]
    return visitors.filter(pk__in=old).delete()[0]


def prune_quiet_stream(using: str, stream_id: int) -> int:
    """Forget old visitors by the clock where no batch comes any more to do it; returns as `prune_visitors`."""
    now = timezone.now()
    if not Position.objects.using(using).filter(stream_id=stream_id, updated_at__lt=now - _QUIET).exists():
        return 0
    return prune_visitors(using, stream_id, before=now.astimezone(UTC).date() - VISITORS_KEPT)


def _quarter(time: datetime) -> datetime:
    return time.replace(minute=time.minute - time.minute % 15, second=0, microsecond=0)
