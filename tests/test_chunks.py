"""All rows of a question, in chunks, while others write."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from inlive_banner.chunks import read_chunks
from inlive_banner.exporting import csv_chunks
from inlive_banner.models import Interaction
from inlive_banner.query import EVERYTHING, LogQuery
from tests.rows import NOON, make_interaction

ROWS = 40_000
"""Twenty queries of an export."""

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.fixture
def save(database_alias: str) -> Any:
    """Saves the rows with these numbers."""

    def save(*numbers: int, **overrides: Any) -> None:
        rows = [make_interaction(number, **overrides) for number in numbers]
        Interaction.objects.using(database_alias).bulk_create(rows)

    return save


@pytest.fixture
def chunks(database_alias: str) -> Any:
    def chunks(rows_per_query: int = 3, **filters: Any) -> Iterator[list[Interaction]]:
        query = LogQuery(stream_id=15, **filters)
        return read_chunks(query, rows_per_query=rows_per_query, using=database_alias)

    return chunks


def numbers(rows: list[Interaction]) -> list[int]:
    return [int(row.publish_id.partition("-")[2]) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_each_row_comes_once_newest_first(save: Any, chunks: Any, count: int) -> None:
    save(*range(1, count + 1))

    found = [numbers(chunk) for chunk in chunks()]

    assert [number for chunk in found for number in chunk] == list(range(count, 0, -1))
    assert all(1 <= len(chunk) <= 3 for chunk in found)


def test_rows_of_one_moment_come_once(save: Any, chunks: Any) -> None:
    save(*range(1, 9), received_at=NOON)

    assert [numbers(chunk) for chunk in chunks()] == [[8, 7, 6], [5, 4, 3], [2, 1]]


def test_only_rows_that_are_asked_for_come(save: Any, chunks: Any) -> None:
    save(1, 2, name="winter")
    save(3, 4)
    save(5, 6, label="crawler")
    save(7, stream_id=16)

    assert [numbers(chunk) for chunk in chunks(1, banner="sale")] == [[4], [3]]
    assert [numbers(chunk) for chunk in chunks(who=EVERYTHING)] == [[6, 5, 4], [3, 2, 1]]


def test_rows_that_are_recorded_meanwhile_are_left_out(save: Any, chunks: Any) -> None:
    """Also those that the channel's clock, set back, puts among the ones not read yet."""
    save(*range(1, 7))
    reading = chunks()
    found = numbers(next(reading))

    save(7, 8)
    save(9, received_at=NOON - timedelta(hours=1))
    save(10, received_at=NOON + timedelta(seconds=2))
    found += [number for chunk in reading for number in numbers(chunk)]

    assert found == [6, 5, 4, 3, 2, 1]


def test_rows_that_are_deleted_meanwhile_take_no_others_with_them(save: Any, chunks: Any, database_alias: str) -> None:
    save(*range(1, 9))
    reading = chunks()
    found = numbers(next(reading))

    deleted = [f"publish-{number:03}" for number in (8, 6, 5)]  # read; where it goes on; the next one
    Interaction.objects.using(database_alias).filter(publish_id__in=deleted).delete()
    found += [number for chunk in reading for number in numbers(chunk)]

    assert found == [8, 7, 6, 4, 3, 2, 1]


def test_nothing_is_held_between_two_chunks(save: Any, chunks: Any, database_alias: str) -> None:
    save(*range(1, 7))
    reading = chunks()
    next(reading)

    connection = connections[database_alias]
    assert connection.connection is None, "CONN_MAX_AGE is 0"
    assert not connection.in_atomic_block
    assert numbers(next(reading)) == [3, 2, 1]


def test_transaction_of_the_caller_is_left_alone(save: Any, chunks: Any, database_alias: str) -> None:
    save(*range(1, 5))
    with transaction.atomic(using=database_alias):
        save(5)
        assert [numbers(chunk) for chunk in chunks()] == [[5, 4, 3], [2, 1]]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "inlive_interaction_people"),
        ({"who": EVERYTHING}, "inlive_interaction_order"),
        ({"banner": "sale"}, "inlive_interaction_banner"),
        ({"user": "visitor-7"}, "inlive_interaction_user"),
    ],
)
def test_each_chunk_is_read_by_the_pages_index(
    save: Any, chunks: Any, database_alias: str, filters: dict[str, str], index: str
) -> None:
    save(*range(1, 4), **({"user_id": "visitor-7"} if "user" in filters else {}))
    connection = connections[database_alias]
    with CaptureQueriesContext(connection) as captured:
        list(chunks(2, **filters))
    selects = [query["sql"] for query in captured if "ORDER BY" in query["sql"]][1:]

    assert len(selects) == 2
    for sql in selects:
        with transaction.atomic(using=database_alias), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            plan = "\n".join(f"{line[-1]}" for line in cursor.fetchall())
        assert index in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan


@pytest.mark.slow
@pytest.mark.parametrize("database_alias", ["default"])
def test_memory_stays_the_same_for_ten_times_the_rows(database_alias: str) -> None:
    rows = (make_interaction(number, page="/" + "x" * 100) for number in range(1, ROWS + 1))
    Interaction.objects.using(database_alias).bulk_create(rows, batch_size=5_000)

    def export(limit: int) -> tuple[int, int]:
        query = LogQuery(stream_id=15)
        reading = read_chunks(query, using=database_alias)
        lines = 0
        tracemalloc.start()
        for chunk in csv_chunks(row for rows in reading for row in rows):
            lines += chunk.count(b"\n")
            if lines > limit:
                break
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return lines, peak

    _, few = export(ROWS // 10)
    lines, all_of_them = export(2 * ROWS)

    assert lines == ROWS + 1
    assert all_of_them < 1.3 * few
