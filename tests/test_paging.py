"""The log in pages: back from the newest row, and forward without gaps."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from inlive_banner import paging
from inlive_banner.models import Interaction, Position
from inlive_banner.paging import read_older, read_recorded
from inlive_banner.periods import Period
from inlive_banner.query import EVERYTHING, OTHERS, LogQuery
from inlive_banner.tail.sink import Sink
from tests.rows import NOON, make_interaction
from tests.tail.making import NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

QUERY = LogQuery(stream_id=15)


@pytest.fixture
def save(database_alias: str) -> Any:
    """Saves the rows with these numbers; gives the highest primary key."""

    def save(*numbers: int, **overrides: Any) -> int:
        rows = [make_interaction(number, **overrides) for number in numbers]
        Interaction.objects.using(database_alias).bulk_create(rows)
        return Interaction.objects.using(database_alias).latest("pk").pk

    return save


@pytest.fixture
def follow(database_alias: str) -> Any:
    """Reads forward to the end: the rows' numbers of each page, and where to go on."""

    def follow(query: LogQuery = QUERY, *, after: int = 0, limit: int = 100) -> tuple[list[list[int]], int]:
        pages = []
        while True:
            page = read_recorded(query, after=after, limit=limit, using=database_alias)
            assert page.recorded >= after
            after = page.recorded
            pages.append(numbers(page))
            if not page.has_more:
                return pages, after

    return follow


def numbers(page: paging.Page) -> list[int]:
    return [int(row.publish_id.partition("-")[2]) for row in page.rows]


def flat(pages: list[list[int]]) -> list[int]:
    return [number for page in pages for number in page]


def test_pages_back_have_each_row_once(save: Any, database_alias: str) -> None:
    Position.objects.using(database_alias).create(stream_id=15, last_event_id="a1b2c3d4-7")
    save(*range(1, 8), received_at=NOON)
    first = read_older(QUERY, limit=3, using=database_alias)
    second = read_older(QUERY, before=first.older, limit=3, using=database_alias)
    third = read_older(QUERY, before=second.older, limit=3, using=database_alias)

    assert [numbers(page) for page in (first, second, third)] == [[7, 6, 5], [4, 3, 2], [1]]
    assert third.older is None
    assert first.position == "a1b2c3d4-7"


def test_page_back_that_is_full_and_the_last_says_so(save: Any, database_alias: str) -> None:
    save(1, 2)

    assert read_older(QUERY, limit=2, using=database_alias).older is None


def test_program_goes_on_forward_from_the_newest_page(save: Any, follow: Any, database_alias: str) -> None:
    save(1, 2, 3)
    page = read_older(QUERY, limit=2, using=database_alias)
    assert follow(after=page.recorded)[0] == [[]]

    save(4, 5)

    assert follow(after=page.recorded)[0] == [[4, 5]]


def test_pages_forward_have_each_row_once_in_the_order_of_recording(save: Any, follow: Any) -> None:
    save(2, 1, 3)
    pages, after = follow(limit=2)
    assert pages == [[2, 1], [3]]
    assert follow(after=after)[0] == [[]]

    save(4)

    assert follow(after=after)[0] == [[4]]


def test_row_with_an_earlier_time_than_those_before_it_is_found(save: Any, follow: Any) -> None:
    """Of two clicks at once the channel's log may have the one first that it received last."""
    save(1, 2, 3)
    _, after = follow()

    save(4, received_at=NOON - timedelta(days=1))

    pages, after = follow(after=after)
    assert pages == [[4]]
    save(5)
    assert flat(follow(after=after)[0]) == [5]


def test_page_forward_keeps_to_the_filters(save: Any, follow: Any) -> None:
    save(1, name="winter")
    save(2, user_id="u")
    save(3, page="/x/")
    save(4, action="share")
    save(5, label="crawler")
    save(6, stream_id=16)
    save(7, received_at=NOON + timedelta(hours=2))

    def found(**filters: Any) -> list[int]:
        return flat(follow(LogQuery(stream_id=15, **filters))[0])

    assert found() == [1, 2, 3, 4, 7]
    assert found(who=EVERYTHING) == [1, 2, 3, 4, 5, 7]
    assert found(who=OTHERS) == [5]
    assert found(banner="winter") == [1]
    assert found(user="u") == [2]
    assert found(page="/x/") == [3]
    assert found(action="share") == [4]
    assert found(period=Period(since=NOON + timedelta(hours=1))) == [7]
    assert found(period=Period(until=NOON + timedelta(hours=1))) == [1, 2, 3, 4]


def test_stream_with_the_largest_number_is_followed(save: Any, follow: Any) -> None:
    save(1, stream_id=9999999999999999)

    assert follow(LogQuery(stream_id=9999999999999999))[0] == [[1]]


def test_page_forward_looks_at_so_many_rows_at_most(save: Any, follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "ROWS_LOOKED_AT", 4)
    save(1)
    save(*range(2, 11), name="winter")
    save(11)

    pages, after = follow(LogQuery(stream_id=15, banner="sale"))

    assert pages == [[1], [], [11]]
    assert follow(LogQuery(stream_id=15, banner="sale"), after=after)[0] == [[]]


def test_keys_that_were_deleted_are_passed_over_at_once(
    save: Any, follow: Any, database_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "ROWS_LOOKED_AT", 4)
    last = save(*range(1, 50))
    save(50, 51)
    Interaction.objects.using(database_alias).filter(pk__lte=last).delete()

    assert follow()[0] == [[50, 51]]


def test_clock_set_back_far_delays_rows_that_a_filter_leaves_between_and_loses_none(
    save: Any, follow: Any, database_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "ROWS_LOOKED_AT", 4)
    save(1)
    past = NOON - timedelta(hours=1)
    save(*range(2, 11), name="winter", received_at=past)
    save(11, received_at=past)
    query = LogQuery(stream_id=15, banner="sale")
    pages, after = follow(query)
    assert flat(pages) == [1]

    # The worker notes the time of what it recorded last, so that even this one needn't wait for the clock.
    Position.objects.using(database_alias).create(stream_id=15, received_at=past)

    assert flat(follow(query, after=after)[0]) == [11]


@pytest.mark.parametrize("database_alias", ["postgres"])  # SQLite has one writer at a time
def test_row_in_a_transaction_that_ends_later_is_not_passed_over(save: Any, follow: Any, database_alias: str) -> None:
    """Another stream's rows, recorded meanwhile, have higher keys and are there sooner."""
    save(1)
    inserted, goes_on = threading.Event(), threading.Event()

    def record() -> None:
        with transaction.atomic(using=database_alias):
            save(2)
            inserted.set()
            assert goes_on.wait(10)
        connections[database_alias].close()

    worker = threading.Thread(target=record, daemon=True)
    worker.start()
    assert inserted.wait(10)
    save(3, 4, stream_id=16)
    pages, after = follow()
    assert follow(after=after) == ([[]], after)
    goes_on.set()
    worker.join()

    assert pages == [[1]]
    assert follow(after=after)[0] == [[2]]


def test_follower_of_the_real_worker_has_each_row_once(follow: Any, database_alias: str) -> None:
    sinks = Sink(15, using=database_alias), Sink(16, using=database_alias)
    found: list[list[int]] = []
    after = 0
    for batch in range(5):
        for sink in sinks:
            early = NOW - timedelta(milliseconds=batch)
            sink.record(
                [make_record(3 * batch + n, publish_id=f"p-{3 * batch + n}", received_at=early) for n in (1, 2, 3)]
            )
        pages, after = follow(after=after)
        found += pages

    assert flat(found) == list(range(1, 16))


def test_page_forward_is_read_along_the_primary_key(save: Any, database_alias: str) -> None:
    save(*range(1, 4))
    connection = connections[database_alias]
    with CaptureQueriesContext(connection) as captured:
        read_recorded(LogQuery(stream_id=15, banner="sale"), after=0, limit=2, using=database_alias)
    (sql,) = (query["sql"] for query in captured if "publish_id" in query["sql"])
    with transaction.atomic(using=database_alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
        plan = "\n".join(f"{line[-1]}" for line in cursor.fetchall())

    assert "INTEGER PRIMARY KEY" in plan or "inlive_banner_interaction_pkey" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
