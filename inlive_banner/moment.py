"""Several reads of one state of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db import connections, transaction

from inlive_banner.envelope import FROM_OLDEST
from inlive_banner.models import Position

__all__ = ["read_at_one_moment"]

_Read = TypeVar("_Read")

_TRIES = 5
"""A busy worker commits some ten times a second, and a page reads some hundredth of one."""


def read_at_one_moment(stream_id: int, read: Callable[[str], _Read], *, using: str) -> _Read:
    """Call `read` with the stream's position, so that all that it reads of the stream is what is recorded up to there.

    On SQLite a transaction sees one state of the database from its first read on; on PostgreSQL one that asks for it
    does. Where a transaction has begun already, and the database is another one or PostgreSQL, the position's row
    tells: it is written with all that is recorded (where events have no ids, the position itself stands still), so what
    was read while it stayed the same belongs together. Where it never does, it is locked, and the worker waits until
    the transaction has ended.
    """
    connection = connections[using]
    positions = Position.objects.using(using).filter(pk=stream_id).values_list("last_event_id", "updated_at")
    if connection.vendor == "sqlite" or (connection.vendor == "postgresql" and connection.get_autocommit()):
        with transaction.atomic(using=using):
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return read(_event_id(positions.first()))
    for _ in range(_TRIES):
        position = positions.first()
        found = read(_event_id(position))
        if positions.first() == position:
            return found
    with transaction.atomic(using=using):
        return read(_event_id(positions.select_for_update().first()))


def _event_id(position: tuple[str, datetime] | None) -> str:
    return position[0] if position else FROM_OLDEST
