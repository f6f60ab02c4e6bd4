"""Old rows leave; the counts that they are in stay.

A row is deleted, and no count knows of it: totals, charts and visitors of a time long ago are as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q, QuerySet

from inlive_banner.models import Interaction
from inlive_banner.streams import held_stream

__all__ = ["BATCH_SIZE", "count_rows", "prune_rows"]

BATCH_SIZE = 5_000
"""Rows in one transaction, during which the stream's workers wait: a fraction of a second."""


def count_rows(stream_id: int, *, before: datetime, using: str = DEFAULT_DB_ALIAS) -> int:
    """How many rows `prune_rows` would delete. Reads the index of all of them."""
    return _old(stream_id, before, using).count()


def prune_rows(
    stream_id: int, *, before: datetime, batch_size: int = BATCH_SIZE, using: str = DEFAULT_DB_ALIAS
) -> Iterator[int]:
    """Delete the stream's rows that were received before a moment (aware), the oldest first.

    Gives after each batch, which is committed then, how many rows it had. Whoever stops in between loses nothing, and
    goes on by calling it again. `rows_before` says which moments are safe. Must not be called in a transaction. Raises
    Django's database errors.
    """
    old = _old(stream_id, before, using)
    while (end := _end_of_batch(old, batch_size)) is not None:
        received_at, pk = end
        with held_stream(stream_id, using=using):
            up_to_end = Q(received_at__lt=received_at) | Q(received_at=received_at, pk__lte=pk)
            deleted, _ = old.filter(up_to_end, received_at__lte=received_at).delete()
        yield deleted
        # Not from the oldest on again: PostgreSQL would pass over all that it has just deleted, each time more.
        old = old.filter(received_at__gte=received_at)


def _old(stream_id: int, before: datetime, using: str) -> QuerySet[Interaction]:
    rows = Interaction.objects.using(using).filter(stream_id=stream_id, received_at__lt=before).order_by()
    return rows.filter(pk__gt=0)  # the words of the index for what has no other filter


def _end_of_batch(old: QuerySet[Interaction], batch_size: int) -> tuple[datetime, int] | None:
    """When the last row of the next batch was received, and its key."""
    ends = old.order_by("received_at", "pk").values_list("received_at", "pk")[:batch_size]
    return list(ends)[-1] if ends else None
