"""All rows that a question means, a chunk at a time: a transaction is as short as one chunk, however long all take."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BigIntegerField, ExpressionWrapper, F, QuerySet

from inlive_banner.models import Interaction
from inlive_banner.query import Cursor, LogQuery
from inlive_banner.rows import LogRows

__all__ = ["ROWS_PER_QUERY", "read_chunks"]

ROWS_PER_QUERY = 2_000
"""Rows that are in memory at a time: some 5 MB, read in some 20 ms."""


def read_chunks(
    query: LogQuery, *, rows_per_query: int = ROWS_PER_QUERY, using: str = DEFAULT_DB_ALIAS
) -> Iterator[list[Interaction]]:
    """The rows, newest first, in lists of `rows_per_query`; no list is empty.

    It is what was recorded when the first list was asked for: each row of then once, less those that are deleted
    meanwhile; what is recorded later isn't in it. Between two lists no transaction is open and no cursor, and the
    connection is given back where Django doesn't keep it. Raises Django's database errors.
    """
    # Whatever its time: the channel's clock may be set back, and then what is new is below what was read.
    newest = Interaction.objects.using(using).order_by("-pk").values_list("pk", flat=True).first() or 0
    all_rows = LogRows(query, using=using)
    rows = all_rows.newest()
    while chunk := list(_up_to(newest, rows)[:rows_per_query]):
        connection = connections[using]
        if not connection.in_atomic_block:  # a transaction of the caller's would end with it
            connection.close_if_unusable_or_obsolete()
        yield chunk
        if len(chunk) < rows_per_query:
            return
        rows = all_rows.older(Cursor.of(chunk[-1]))


def _up_to(newest: int, rows: QuerySet[Interaction]) -> QuerySet[Interaction]:
    # A sum, because by the primary key itself a database might read, and then sort, the whole table.
    plain = ExpressionWrapper(F("pk") + 0, BigIntegerField())
    return rows.alias(plain_pk=plain).filter(plain_pk__lte=newest)
