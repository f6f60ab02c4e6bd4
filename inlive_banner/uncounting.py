"""Taking interactions out of the counts that they are in: the opposite of `tail.counting`.

All of it belongs to the transaction that has deleted the rows, and that holds the stream.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, cast

from django.db import connections
from django.db.models import F, Field

from inlive_banner.models import DayUnique, DayVisitor, Interaction, Rollup
from inlive_banner.tail.counting import rollups_of
from inlive_banner.tail.inserting import VisitorKey
from inlive_banner.tail.records import Row

__all__ = ["forget_visitors", "uncount_interactions", "visitors_of"]

_SUMS = ("count", "viewed")


def uncount_interactions(using: str, stream_id: int, rows: Sequence[Row]) -> None:
    """Subtract the rows from the counts that each of them is in; a count of nothing is deleted.

    What isn't kept any more, as minutes after some days, is passed over. Raises Django's database errors.
    """
    rollups = rollups_of(stream_id, rows)
    if not rollups:
        return
    connection = connections[using]
    quote = connection.ops.quote_name
    table = quote(Rollup._meta.db_table)  # noqa: SLF001  (Django's documented Meta API)
    keys = [name for name in rollups[0] if name not in _SUMS]
    where = " AND ".join(f"{quote(name)} = %s" for name in keys)
    count, viewed = map(quote, _SUMS)
    # By one statement for each, whose whole key is given: a join with all of them would leave it to PostgreSQL's
    # planner whether the table is read for it.
    delete = f"DELETE FROM {table} WHERE {where} AND {count} <= %s"  # noqa: S608  (our names)
    less = f"{viewed} = CASE WHEN {viewed} > %s THEN {viewed} - %s ELSE 0 END"
    update = f"UPDATE {table} SET {count} = {count} - %s, {less} WHERE {where}"  # noqa: S608
    prepared = [(_prepared(rollup, keys, using), rollup["count"], rollup["viewed"]) for rollup in rollups]
    with connection.cursor() as cursor:
        cursor.executemany(delete, [(*key, minus) for key, minus, _ in prepared])
        cursor.executemany(update, [(minus, firsts, firsts, *key) for key, minus, firsts in prepared])


def visitors_of(rows: Sequence[Row]) -> dict[VisitorKey, set[str]]:
    """The visitors of the rows that `tail.counting` has counted as such."""
    visitors: dict[VisitorKey, set[str]] = {}
    for row in rows:
        if row.visitor and not row.label:
            visitors.setdefault((row.received_at.date(), row.action, row.name), set()).add(row.visitor)
    return visitors


def forget_visitors(using: str, stream_id: int, visitors: Mapping[VisitorKey, Collection[str]]) -> None:
    """Take those of the visitors out of the day's count of whom no row of that day, action and banner is left.

    Each of them was counted there. Raises Django's database errors.
    """
    for key, several in sorted(visitors.items()):
        gone = set(several) - _visitors_left(using, stream_id, key, several)
        if gone:
            day, action, name = key
            of_key = {"stream_id": stream_id, "day": day, "action": action, "name": name}
            DayVisitor.objects.using(using).filter(visitor__in=gone, **of_key).delete()
            uniques = DayUnique.objects.using(using).filter(**of_key)
            uniques.filter(count__lte=len(gone)).delete()
            uniques.update(count=F("count") - len(gone))


def _visitors_left(using: str, stream_id: int, key: VisitorKey, visitors: Collection[str]) -> set[str]:
    day, action, name = key
    midnight = datetime.combine(day, time(), UTC)
    # Reads the banner's rows of that day.
    left = Interaction.objects.using(using).filter(
        stream_id=stream_id,
        name=name,
        received_at__gte=midnight,
        received_at__lt=midnight + timedelta(days=1),
        action=action,
        label="",
        visitor__in=visitors,
    )
    return set(left.order_by().values_list("visitor", flat=True).distinct())


def _prepared(rollup: Mapping[str, Any], keys: Sequence[str], using: str) -> list[Any]:
    fields = [cast("Field[Any, Any]", Rollup._meta.get_field(name)) for name in keys]  # noqa: SLF001
    return [field.get_db_prep_value(rollup[field.name], connections[using]) for field in fields]
