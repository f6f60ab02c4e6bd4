"""Many rows into the table, the fastest way that the database offers through Django's connection.

`bulk_create` makes a model instance and compiles an expression for every value, which takes longer than the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from inlive_banner.models import Interaction
from inlive_banner.tail.records import Row

__all__ = ["insert_rows"]


def insert_rows(connection: BaseDatabaseWrapper, stream_id: int, rows: Sequence[Row]) -> None:
    """Insert the rows in their order, so that the newest has the highest primary key. Doesn't commit.

    By COPY on PostgreSQL (psycopg 3), elsewhere by one prepared statement for all. Raises Django's database errors
    where a row is refused, whatever the reason: the caller has left out what is stored already.
    """
    if not rows:
        return
    quote, adapt = connection.ops.quote_name, connection.ops.adapt_datetimefield_value
    table = quote(Interaction._meta.db_table)  # noqa: SLF001  (Django's documented Meta API)
    columns = ", ".join(map(quote, ("stream_id", *Row._fields)))
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
