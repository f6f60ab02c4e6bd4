"""Old rows leave, on real databases."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from inlive_banner.models import DayUnique, Interaction, Position, Rollup
from inlive_banner.pruning import count_rows, prune_rows
from inlive_banner.tail.sink import Sink
from tests.rows import NOON, make_interaction
from tests.tail.making import NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


INTERACTIONS = 'FROM "inlive_banner_interaction"'


def save(alias: str, times: list[datetime], **overrides: Any) -> None:
    first = Interaction.objects.using(alias).count()
    Interaction.objects.using(alias).bulk_create(
        make_interaction(number, received_at=moment, **overrides) for number, moment in enumerate(times, first)
    )


def left(alias: str) -> list[datetime]:
    return list(Interaction.objects.using(alias).order_by("received_at").values_list("received_at", flat=True))


def hours(*numbers: int) -> list[datetime]:
    return [NOON + timedelta(hours=number) for number in numbers]


def test_rows_before_the_moment_leave_the_oldest_first(database_alias: str) -> None:
    save(database_alias, hours(5, 1, 4, 2, 3, 0))

    batches = prune_rows(15, before=NOON + timedelta(hours=5), batch_size=2, using=database_alias)

    assert next(batches) == 2
    assert left(database_alias) == hours(2, 3, 4, 5)
    assert list(batches) == [2, 1]
    assert left(database_alias) == hours(5)


def test_rows_received_at_one_moment_leave_in_batches(database_alias: str) -> None:
    save(database_alias, [NOON] * 5)

    assert list(prune_rows(15, before=NOON + timedelta(seconds=1), batch_size=2, using=database_alias)) == [2, 2, 1]
    assert left(database_alias) == []


def test_rows_of_other_streams_stay(database_alias: str) -> None:
    save(database_alias, hours(0, 1), stream_id=16)

    assert list(prune_rows(15, before=NOON + timedelta(days=1), using=database_alias)) == []
    assert len(left(database_alias)) == 2


def test_rows_stopped_in_between_leave_when_asked_again(database_alias: str) -> None:
    save(database_alias, hours(*range(5)))
    batches = prune_rows(15, before=NOON + timedelta(days=1), batch_size=2, using=database_alias)
    next(batches)
    batches.close()

    assert sum(prune_rows(15, before=NOON + timedelta(days=1), using=database_alias)) == 3


def test_count_is_what_would_leave_and_nothing_leaves(database_alias: str) -> None:
    save(database_alias, hours(*range(5)))

    assert count_rows(15, before=NOON + timedelta(hours=3), using=database_alias) == 3
    assert len(left(database_alias)) == 5


def test_counts_and_position_stay_as_they_are(database_alias: str) -> None:
    sink = Sink(15, using=database_alias)
    sink.record([make_record(seq, visitor="v", viewed=seq == 1) for seq in range(1, 4)])
    before = [list(model.objects.using(database_alias).values()) for model in (Rollup, DayUnique, Position)]

    assert sum(prune_rows(15, before=NOW + timedelta(days=1), using=database_alias)) == 3

    assert [list(model.objects.using(database_alias).values()) for model in (Rollup, DayUnique, Position)] == before
    assert before[0]


def test_row_that_comes_while_old_ones_leave_is_neither_lost_nor_held_up(database_alias: str) -> None:
    save(database_alias, hours(*range(100)))
    young = NOON + timedelta(hours=200)
    errors: list[BaseException] = []

    def record() -> None:
        try:
            sink = Sink(15, using=database_alias)
            for seq in range(1, 31):
                sink.record([make_record(seq, received_at=young)])
        except BaseException as error:  # noqa: BLE001  (the test shows it)
            errors.append(error)
        finally:
            connections[database_alias].close()

    worker = threading.Thread(target=record, daemon=True)
    worker.start()
    deleted = sum(prune_rows(15, before=NOON + timedelta(hours=100), batch_size=3, using=database_alias))
    worker.join(timeout=60)

    assert not errors
    assert deleted == 100
    assert left(database_alias) == [young] * 30
    assert Rollup.objects.using(database_alias).get(dimension="all", span=0).count == 30


def test_batch_waits_for_the_one_that_is_being_recorded(database_alias: str) -> None:
    """The stream is held first of all, by a statement that writes."""
    save(database_alias, hours(0))
    Position.objects.using(database_alias).create(stream_id=15)

    with CaptureQueriesContext(connections[database_alias]) as queries:
        list(prune_rows(15, before=NOON + timedelta(hours=1), using=database_alias))

    statements = [query["sql"] for query in queries]
    begin = next(number for number, sql in enumerate(statements) if sql.startswith("BEGIN"))
    assert statements[begin + 1].startswith('UPDATE "inlive_banner_position" SET')
    assert any(sql.startswith(f"DELETE {INTERACTIONS}") for sql in statements[begin + 2 :])


def test_batch_is_read_and_deleted_along_the_index(database_alias: str) -> None:
    save(database_alias, hours(*range(5_000)))
    connection = connections[database_alias]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as PostgreSQL does by itself before long
    with CaptureQueriesContext(connection) as queries:
        list(prune_rows(15, before=NOON + timedelta(hours=20), batch_size=7, using=database_alias))
    touching = [
        query["sql"]
        for query in queries
        if query["sql"].startswith(("SELECT", "DELETE")) and INTERACTIONS in query["sql"]
    ]
    assert len(touching) == 4 + 3, touching

    selects = [sql for sql in touching if sql.startswith("SELECT")]
    # From where the last batch ended, not over what it has left in PostgreSQL's index.
    assert ['"received_at" >= ' in sql for sql in selects] == [False, True, True, True]
    for sql in touching:
        assert "OFFSET" not in sql
        plan = plan_of(connection, sql)
        assert "inlive_interaction_order" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        assert "Sort" not in plan, plan


def plan_of(connection: Any, sql: str) -> str:
    explain, column = ("EXPLAIN QUERY PLAN", 3) if connection.vendor == "sqlite" else ("EXPLAIN", 0)
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        return " ".join(row[column] for row in cursor.fetchall())
