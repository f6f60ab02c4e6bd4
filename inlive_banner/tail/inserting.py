"""Many rows into a table, the fastest way that the database offers through Django's connection.

`bulk_create` makes a model instance and compiles an expression for every value, which takes longer than the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias, cast

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from inlive_banner.models import DayVisitor, Interaction
from inlive_banner.tail.records import Row

__all__ = ["VisitorKey", "add_counts", "insert_rows", "insert_visitors"]

VisitorKey: TypeAlias = tuple[date, str, str]
"""What visitors are counted by: the UTC day, the action, and the banner's name."""


def insert_rows(connection: BaseDatabaseWrapper, stream_id: int, rows: Sequence[Row]) -> None:
    """Insert the rows in their order, so that the newest has the highest primary key. Doesn't commit.

    By COPY on PostgreSQL (psycopg 3), elsewhere by one prepared statement for all. Raises Django's database errors
    where a row is refused, whatever the reason: the caller has left out what is stored already.
    """
    if not rows:
        return
    adapt = connection.ops.adapt_datetimefield_value
    table, columns = _names(connection, Interaction, ("stream_id", *Row._fields))
    values = [(stream_id, *row[:-2], adapt(row.visitor_time), adapt(row.received_at)) for row in rows]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and hasattr(cursor, "copy"):
            # Django hands `copy` through as it is, so its errors have to be made Django's here.
            with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for value in values:
                    copy.write_row(value)
        else:
            places = ", ".join(["%s"] * len(values[0]))
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)  # noqa: S608  (our names)


def insert_visitors(
    connection: BaseDatabaseWrapper, stream_id: int, visitors: Mapping[VisitorKey, Collection[str]]
) -> Counter[VisitorKey]:
    """Insert those of the visitors who aren't there yet for their day, action and banner. Doesn't commit.

    Returns how many these were, of each key. Raises Django's database errors.
    """
    counts: Counter[VisitorKey] = Counter()
    if not visitors:
        return counts
    table, columns = _names(connection, DayVisitor, ("stream_id", "day", "action", "name", "visitor"))
    # The conflict is named: only a visitor who is there is passed over, and whatever else breaks a rule is told. To ask
    # first would leave it to PostgreSQL's planner, which without statistics reads the whole day for each batch.
    insert, unless_there = f"INSERT INTO {table} ({columns})", f"ON CONFLICT ({columns}) DO NOTHING"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            all_of_them = [(*key, visitor) for key, several in visitors.items() for visitor in several]
            arrays = "unnest(%s::date[], %s::text[], %s::text[], %s::text[])"
            sql = f"{insert} SELECT %s, * FROM {arrays} {unless_there} RETURNING day, action, name"  # noqa: S608
            cursor.execute(sql, [stream_id, *map(list, zip(*all_of_them, strict=True))])
            counts.update(cursor.fetchall())
        else:
            for key, several in visitors.items():
                day, action, name = key
                first = (stream_id, connection.ops.adapt_datefield_value(day), action, name)
                values = [(*first, visitor) for visitor in several]
                cursor.executemany(f"{insert} VALUES (%s, %s, %s, %s, %s) {unless_there}", values)
                counts[key] = cursor.rowcount
    return counts


def add_counts(
    connection: BaseDatabaseWrapper, model: type[Model], counts: Sequence[Mapping[str, Any]], *, added: Sequence[str]
) -> None:
    """Add to the rows' columns that `added` names, and insert the rows that aren't there yet. Doesn't commit.

    Each of the counts has all columns of its row, the same in each; those besides `added` are what the model's unique
    constraint names. Raises Django's database errors.
    """
    if not counts:
        return
    quote, names = connection.ops.quote_name, list(counts[0])
    table, columns = _names(connection, model, names)
    key = ", ".join(quote(name) for name in names if name not in added)
    sums = ", ".join(f"{quote(name)} = {table}.{quote(name)} + excluded.{quote(name)}" for name in added)
    insert, or_add = f"INSERT INTO {table} ({columns})", f"ON CONFLICT ({key}) DO UPDATE SET {sums}"
    fields = [cast("Field[Any, Any]", model._meta.get_field(name)) for name in names]  # noqa: SLF001
    values = [
        [field.get_db_prep_value(value, connection) for field, value in zip(fields, row.values(), strict=True)]
        for row in counts
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One statement for all: one for each would be a message to the server and back for each.
            types = [f"{field.db_type(connection)}".split("(")[0] for field in fields]
            arrays = ", ".join(f"%s::{name}[]" for name in types)
            columns_of_values = [list(column) for column in zip(*values, strict=True)]
            cursor.execute(f"{insert} SELECT * FROM unnest({arrays}) {or_add}", columns_of_values)  # noqa: S608
        else:
            cursor.executemany(f"{insert} VALUES ({', '.join(['%s'] * len(names))}) {or_add}", values)


def _names(connection: BaseDatabaseWrapper, model: type[Model], columns: Sequence[str]) -> tuple[str, str]:
    """The table's and the columns' names, as SQL."""
    quote = connection.ops.quote_name
    return quote(model._meta.db_table), ", ".join(map(quote, columns))  # noqa: SLF001  (Django's documented Meta API)
