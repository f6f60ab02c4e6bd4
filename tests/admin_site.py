"""The admin's list of interactions, asked over HTTP, and how a database would read it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.test.utils import CaptureQueriesContext

LIST = "/admin/inlive_banner/interaction/"


def listed(client: Client, query: str = "") -> list[int]:
    """The numbers of the rows that the list shows."""
    response = client.get(LIST + query)
    assert response.status_code == 200, response
    return [row.pk for row in response.context["cl"].result_list]


def asked_of_interactions(client: Client, query: str = "") -> list[str]:
    """The statements by which the list reads interactions."""
    with CaptureQueriesContext(connection) as captured:
        listed(client, query)
    return [one["sql"] for one in captured if 'FROM "inlive_banner_interaction"' in one["sql"]]


def sqlite_plan(sql: str) -> list[str]:
    """The steps by which SQLite would run a statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return [row[3] for row in cursor.fetchall()]


def steps_of(database: BaseDatabaseWrapper, sql: str) -> str:
    """The steps by which a database would run a statement."""
    if database.vendor == "sqlite":
        return "\n".join(sqlite_plan(sql))
    with database.cursor() as cursor:
        # A small table it would rather read as a whole.
        cursor.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        try:
            cursor.execute(f"EXPLAIN {sql.replace('%', '%%')}")
            return "\n".join(row[0] for row in cursor.fetchall())
        finally:
            cursor.execute("RESET enable_seqscan; RESET enable_bitmapscan")


def json_lines(content: bytes) -> Iterable[Any]:
    """The objects of JSON lines."""
    return [json.loads(line) for line in content.splitlines()]
