"""Interactions by a publish id or a user's id, or by how these begin: by index, and only so many."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F, OrderBy, QuerySet

from inlive_banner.models import Interaction

__all__ = ["FOUND_ROWS", "find_rows"]

FOUND_ROWS = 10_000
"""Rows that a search finds at most."""

_LAST = "\U0010ffff"
"""Comes after each character that a text may have."""


class _PatternOrder(OrderBy):
    """PostgreSQL's order of plain bytes: that of the index by which it finds beginnings, whatever its language."""

    template = "%(expression)s USING ~<~ /* ASC */"  # Django looks for the word


def find_rows(stream_id: int, term: str, *, using: str = DEFAULT_DB_ALIAS) -> list[int]:
    """The primary keys of at most `FOUND_ROWS` of the stream's interactions.

    First what has the whole term as its publish id or its user's id, the newest first; then what begins with it, in the
    index's order. On PostgreSQL a publish id must be whole, because its unique index has the database's collation,
    which orders no beginnings.
    """
    rows = Interaction.objects.using(using).filter(stream_id=stream_id).order_by()
    asked = [rows.filter(publish_id=term), rows.filter(user_id=term).order_by("-received_at", "-pk")]
    if connections[using].vendor == "sqlite":
        asked += [_longer(rows, field, term) for field in ("user_id", "publish_id")]
    else:
        # Fewer than are asked for begin with it and end there: those were found before.
        longer = rows.filter(user_id__startswith=term).exclude(user_id=term)
        asked.append(longer.order_by(_PatternOrder(F("user_id"))))
    found: list[int] = []
    for one in asked:
        if room := FOUND_ROWS - len(found):
            known = set(found)
            found += [pk for pk in one.values_list("pk", flat=True)[:room] if pk not in known]
    return found


def _longer(rows: QuerySet[Interaction], field: str, term: str) -> QuerySet[Interaction]:
    # A range: SQLite reads no index for a pattern, unless case is made to matter to all patterns of the database.
    return rows.filter(**{f"{field}__gt": term, f"{field}__lt": f"{term}{_LAST}"}).order_by(field)
