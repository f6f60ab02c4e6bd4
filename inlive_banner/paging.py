"""The log in pages for programs: back from the newest row, and forward from what a program already has."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS
from django.db.models import BigIntegerField, ExpressionWrapper, F, QuerySet

from inlive_banner.models import Interaction, Position
from inlive_banner.moment import read_at_one_moment
from inlive_banner.query import Cursor, LogQuery
from inlive_banner.rows import LogRows

__all__ = ["ROWS_LOOKED_AT", "Page", "read_older", "read_recorded"]

ROWS_LOOKED_AT = 20_000
"""Rows of all streams that one page forward looks at, at most: some 20 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows, and where they go on."""

    rows: tuple[Interaction, ...]
    position: str
    """The event id up to which the stream was recorded when this was read."""
    older: Cursor | None = None
    """Where older rows begin; None where there are none, and on pages forward."""
    recorded: int
    """The primary key after which everything comes that is recorded later than this page."""
    has_more: bool = False
    """Of a page forward: whether more was there already."""


def read_older(query: LogQuery, *, before: Cursor | None = None, limit: int, using: str = DEFAULT_DB_ALIAS) -> Page:
    """The newest rows, or those older than `before`: newest first, by the channel's clock.

    A page may have fewer rows than `limit`, or none, and yet have older ones after it (`rows.LOOKED_AT`).
    """

    def read(position: str) -> Page:
        found = LogRows(query, using=using).page(before=before, limit=limit)
        return Page(
            rows=found.rows,
            position=position,
            older=found.older,
            recorded=_newest_recorded(query.stream_id, using),
        )

    return read_at_one_moment(query.stream_id, read, using=using)


def read_recorded(query: LogQuery, *, after: int, limit: int, using: str = DEFAULT_DB_ALIAS) -> Page:
    """What was recorded after the row with the primary key `after`, in the order of recording; 0 begins at the oldest.

    The worker records a stream's rows in the order of the channel's log, under a lock, so what comes later to a stream
    has a higher key, whatever its time says. So pages of which each goes on at the `recorded` of the one before have
    each row once. A page may have fewer rows than `limit`, or none, and yet have more after it.
    """

    def read(position: str) -> Page:
        # Keys of other streams tell nothing: this stream's next row may have a lower one, in a transaction that hasn't
        # ended. Up to a row of its own that is there, all of its rows are there.
        known = _newest_recorded(query.stream_id, using)
        keys = Interaction.objects.using(using).filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
        first = keys.first()
        start = after if first is None else max(after, min(first - 1, known))  # over what has been deleted
        end = start + ROWS_LOOKED_AT
        found = list(_recorded(query, start, end, using)[: limit + 1])
        shown = tuple(found[:limit])
        if len(found) > limit:
            return Page(rows=shown, position=position, recorded=shown[-1].pk, has_more=True)
        recorded = max(start, min(known, end), *(row.pk for row in shown[-1:]))
        return Page(rows=shown, position=position, recorded=recorded, has_more=known > end)

    return read_at_one_moment(query.stream_id, read, using=using)


def _recorded(query: LogQuery, after: int, until: int, using: str) -> QuerySet[Interaction]:
    """The query's rows with primary keys above `after`, up to `until`; reads those of all streams between the two."""
    # No index has a stream's rows in this order, so they are read along the primary key; the sum keeps databases from
    # taking all of the stream's rows by another index, and sorting them.
    stream = ExpressionWrapper(F("stream_id") + 0, BigIntegerField())
    rows = Interaction.objects.using(using).filter(pk__gt=after, pk__lte=until)
    rows = rows.alias(plain_stream=stream).filter(query.labels, plain_stream=query.stream_id)
    texts = {"name": query.banner, "user_id": query.user, "action": query.action, "page": query.page}
    rows = rows.filter(**{name: value for name, value in texts.items() if value})
    if query.period.since:
        rows = rows.filter(received_at__gte=query.period.since)
    if query.period.until:
        rows = rows.filter(received_at__lt=query.period.until)
    return rows.order_by("pk")


def _newest_recorded(stream_id: int, using: str) -> int:
    """The primary key of a row of the stream than which few or none are newer; 0 where it has no rows. By index."""
    rows = Interaction.objects.using(using).filter(stream_id=stream_id).order_by("-received_at", "-pk")
    keys = rows.values_list("pk", flat=True)
    # Where the channel's clock was set back, the newest by time isn't the one that was recorded last.
    times = Position.objects.using(using).filter(pk=stream_id).values_list("received_at", flat=True)
    last = times.first()
    found = [keys.first(), keys.filter(received_at__lte=last).first() if last else None]
    return max((key for key in found if key is not None), default=0)
