"""Exactly once, on real databases."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.envelope import EventId
from inlive_banner.models import DayUnique, DayVisitor, Gap, Interaction, Position, Rollup
from inlive_banner.tail.dry_run import DryRunSink
from inlive_banner.tail.records import Record, Row
from inlive_banner.tail.sink import Report, Sink
from tests.rows import assert_rollups_count
from tests.tail.making import EPOCH, NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

OTHER_EPOCH = "fedcba9876543210"


@pytest.fixture
def sink(database_alias: str) -> Sink:
    return Sink(15, using=database_alias)


def stored_ids(alias: str, stream_id: int = 15) -> list[str]:
    """The publish ids of the stream's rows, oldest first."""
    rows = Interaction.objects.using(alias).filter(stream_id=stream_id).order_by("pk")
    return list(rows.values_list("publish_id", flat=True))


def gaps(alias: str) -> list[tuple[str, str, int | None]]:
    """After which event, resumed after which, and how many are missing; oldest first."""
    rows = Gap.objects.using(alias).order_by("pk")
    return list(rows.values_list("after_event_id", "resumed_after", "lost_events"))


def assert_counts_are_those_of_the_rows(alias: str, *views: Row) -> None:
    assert_rollups_count([*Interaction.objects.using(alias), *views], using=alias)


def test_record_stores_rows_counts_and_position(sink: Sink, database_alias: str) -> None:
    report = sink.record([make_record(1), make_record(2, name="other")])

    assert report == Report(
        stream_id=15,
        inserted=2,
        views=0,
        duplicates=0,
        passed_over=0,
        malformed=0,
        lost=0,
        position=f"{EPOCH}-2",
        received_at=NOW,
    )
    first = Interaction.objects.using(database_alias).order_by("pk").values().first()
    assert first is not None
    assert first.pop("id")
    assert first == {"stream_id": 15, **make_record(1).row._asdict()}
    assert sink.position() == f"{EPOCH}-2"
    assert_counts_are_those_of_the_rows(database_alias)


def test_position_before_anything_is_recorded_is_from_the_oldest(sink: Sink) -> None:
    assert sink.position() == "0"


def test_record_keeps_the_order_of_the_log(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(seq) for seq in range(1, 700)])

    assert stored_ids(database_alias) == [make_record(seq).row.publish_id for seq in range(1, 700)]


def test_record_delivered_again_changes_nothing(sink: Sink, database_alias: str) -> None:
    batch = [make_record(1), Record(EventId(EPOCH, 2), malformed=True), make_record(3)]
    sink.record(batch)

    report = sink.record(batch)

    assert (report.inserted, report.duplicates, report.malformed, report.position) == (0, 3, 0, f"{EPOCH}-3")
    assert report.received_at is None
    assert len(stored_ids(database_alias)) == 2
    assert Position.objects.using(database_alias).get().malformed_events == 1
    assert_counts_are_those_of_the_rows(database_alias)


def test_record_with_a_repeat_inside_the_batch_stores_it_once(sink: Sink, database_alias: str) -> None:
    report = sink.record([make_record(1), make_record(1), make_record(2, publish_id=make_record(1).row.publish_id)])

    assert (report.inserted, report.duplicates) == (1, 2)
    assert len(stored_ids(database_alias)) == 1
    assert_counts_are_those_of_the_rows(database_alias)


def test_record_in_a_new_epoch_stores_only_what_isnt_stored(sink: Sink, database_alias: str) -> None:
    """The log was lost and filled again from the publishers' retries, or restored from a backup."""
    sink.record([make_record(1), make_record(2), make_record(3)])
    again = make_record(1, epoch=OTHER_EPOCH, publish_id=make_record(3).row.publish_id)

    report = sink.record([again, make_record(2, epoch=OTHER_EPOCH)])

    assert (report.inserted, report.duplicates, report.lost) == (1, 1, 0)
    assert sink.position() == f"{OTHER_EPOCH}-2"
    assert len(stored_ids(database_alias)) == 4
    assert_counts_are_those_of_the_rows(database_alias)


def test_record_after_a_hole_counts_what_is_lost_once(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1)])

    assert sink.record([make_record(5), make_record(7)]).lost == 4
    assert sink.record([make_record(5), make_record(7)]).lost == 0
    assert Position.objects.using(database_alias).get().lost_events == 4
    assert gaps(database_alias) == [(f"{EPOCH}-1", f"{EPOCH}-4", 3), (f"{EPOCH}-5", f"{EPOCH}-6", 1)]


@pytest.mark.parametrize(
    ("position", "lost"),
    [
        (EventId(EPOCH, 12), 9),
        (EventId(EPOCH, 2), None),
        (EventId(OTHER_EPOCH, 0), None),
        (EventId(OTHER_EPOCH, 40), None),
    ],
    ids=["trimmed", "went back", "lost", "another log"],
)
def test_resume_moves_the_position_and_records_the_gap(
    sink: Sink, database_alias: str, position: EventId, lost: int | None
) -> None:
    sink.record([make_record(3)])

    report = sink.resume(f"{EPOCH}-3", position)

    assert report is not None
    assert (report.lost, report.position) == (lost or 0, str(position))
    assert sink.position() == str(position)
    assert Position.objects.using(database_alias).get().lost_events == (lost or 0)
    assert gaps(database_alias) == [(f"{EPOCH}-3", str(position), lost)]


def test_resume_where_another_worker_has_moved_the_position_changes_nothing(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(4)])

    assert sink.resume(f"{EPOCH}-3", EventId(OTHER_EPOCH, 0)) is None
    assert sink.position() == f"{EPOCH}-4"
    assert gaps(database_alias) == []


def test_record_after_the_log_went_back_stores_what_is_new_under_old_numbers(sink: Sink, database_alias: str) -> None:
    """A log that was put back and doesn't know it gives numbers a second time."""
    sink.record([make_record(1), make_record(2), make_record(3)])
    sink.resume(f"{EPOCH}-3", EventId(EPOCH, 1))

    report = sink.record([make_record(2, publish_id="publish-new-2"), make_record(3, publish_id="publish-new-3")])

    assert report.inserted == 2
    assert len(stored_ids(database_alias)) == 5


def test_record_from_the_oldest_of_a_trimmed_log_has_lost_nothing(sink: Sink) -> None:
    assert sink.record([make_record(1000)]).lost == 0


def test_record_of_what_isnt_an_interaction_moves_the_position(sink: Sink, database_alias: str) -> None:
    report = sink.record([Record(EventId(EPOCH, 1)), Record(EventId(EPOCH, 2), malformed=True)])

    assert (report.passed_over, report.malformed, report.position) == (1, 1, f"{EPOCH}-2")
    assert stored_ids(database_alias) == []


def test_record_without_event_ids_leaves_the_position_and_stores_once(sink: Sink, database_alias: str) -> None:
    """A server without our additions: only the publish id tells what is stored."""
    records = [make_record(seq)._replace(event_id=None) for seq in (1, 2)]
    sink.record(records)

    assert sink.record(records).duplicates == 2
    assert sink.position() == "0"
    assert len(stored_ids(database_alias)) == 2


def test_record_of_one_publish_id_on_two_streams_stores_both(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1)])
    Sink(16, using=database_alias).record([make_record(1)])

    assert len(stored_ids(database_alias, 15)) == len(stored_ids(database_alias, 16)) == 1


def test_record_counts_each_in_every_kind_of_count(sink: Sink, database_alias: str) -> None:
    times = [NOW + timedelta(minutes=minutes) for minutes in (*range(0, 60, 7), 12 * 60)]  # until the next day
    fields = itertools.product(times, ("a", "b"), ("click", "share"), ("/", "/sale/"))
    batch = [
        make_record(seq, received_at=time, name=name, action=action, page=page, viewed=seq % 3 == 0)
        for seq, (time, name, action, page) in enumerate(fields, start=1)
    ]
    for start in range(0, len(batch), 5):
        sink.record(batch[start : start + 5])

    assert_counts_are_those_of_the_rows(database_alias)
    assert Rollup.objects.using(database_alias).count() > 100


def everything_in(alias: str) -> list[list[dict[str, Any]]]:
    """All that a sink writes."""
    models = (Interaction, Rollup, DayUnique, DayVisitor, Gap, Position)
    return [list(model.objects.using(alias).order_by("pk").values()) for model in models]


class Crash(BaseException):
    """Not an Exception, so that nobody catches it by accident."""


def test_record_that_dies_at_any_statement_leaves_nothing(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1)])
    before = everything_in(database_alias)
    batch = [
        make_record(2, visitor="somebody"),
        Record(EventId(EPOCH, 3), malformed=True),
        make_record(9, name="other"),
        make_record(10, action="view", visitor="somebody"),
        make_record(11, action="view", label="crawler"),
    ]
    for nth in itertools.count(1):
        statements = itertools.count(1)

        def die_at_nth(
            execute: Any, sql: str, *rest: Any, nth: int = nth, statements: itertools.count[int] = statements
        ) -> Any:
            if next(statements) == nth:
                raise Crash(sql)
            return execute(sql, *rest)

        with connections[database_alias].execute_wrapper(die_at_nth):
            try:
                report = sink.record(batch)
            except Crash:
                assert everything_in(database_alias) == before
            else:
                break

    assert nth > 10  # fewer, and it didn't write all of them
    assert (report.inserted, report.views, report.lost) == (2, 2, 5)
    assert_counts_are_those_of_the_rows(
        database_alias, *(record.row for record in batch if record.is_view and record.row)
    )


def test_record_of_a_row_that_the_database_refuses_raises_and_stores_nothing(sink: Sink, database_alias: str) -> None:
    """It must not be swallowed as if it were a duplicate."""
    broken = make_record(2, received_at=None)

    with pytest.raises(DatabaseError):
        sink.record([make_record(1), broken])

    assert stored_ids(database_alias) == []
    assert sink.position() == "0"


def test_record_begins_its_transaction_by_writing(sink: Sink, database_alias: str) -> None:
    """On SQLite a transaction that reads first fails at once where another one has written meanwhile."""
    sink.position()
    with CaptureQueriesContext(connections[database_alias]) as queries:
        sink.record([make_record(1)])

    statements = [query["sql"] for query in queries if not query["sql"].startswith("SET")]
    begin = statements.index("BEGIN")
    assert statements[begin + 1].startswith("UPDATE")


def lookups(queries: CaptureQueriesContext) -> list[str]:
    """The statements that ask which publish ids are stored."""
    return [query["sql"] for query in queries if "publish_id" in query["sql"] and "IN (" in query["sql"]]


def test_record_of_what_is_new_asks_for_no_stored_ids(database_alias: str) -> None:
    """A planner that has no statistics yet reads the whole stream for it, and a batch would cost more and more."""
    sink = Sink(15, using=database_alias)
    with CaptureQueriesContext(connections[database_alias]) as queries:
        sink.record([make_record(1), make_record(2)])
        sink.record([make_record(3)])

    assert lookups(queries) == []


def test_record_finds_stored_ids_by_their_index() -> None:
    """However long the log is; ordered as the model is, SQLite would read all rows of the stream."""
    records = [make_record(1), make_record(2)]
    Sink(15).record(records)
    with CaptureQueriesContext(connection) as queries:
        Sink(15).record([record._replace(event_id=EventId(OTHER_EPOCH, record.event_id.seq)) for record in records])
    (lookup,) = lookups(queries)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {lookup}")
        plan = str(cursor.fetchall())

    assert "publish_id=?" in plan


def test_record_of_a_row_that_breaks_another_rule_raises_and_stores_nothing(database_alias: str) -> None:
    """It is no repeated row, though the database's error is of the same kind."""
    sink = Sink(15, using=database_alias)
    with pytest.raises(IntegrityError):
        sink.record([make_record(1), make_record(2, received_at=None)])

    assert stored_ids(database_alias) == []
    assert sink.position() == "0"


def test_record_by_two_sinks_at_once_stores_each_once(database_alias: str) -> None:
    """Two workers on one stream, each with all of it, in batches of their own size."""
    records = [
        make_record(seq, visitor=f"visitor-{seq % 20}", action="click" if seq % 4 else "view") for seq in range(1, 201)
    ]
    both = threading.Barrier(2)
    errors: list[BaseException] = []

    def work(size: int) -> None:
        try:
            sink = Sink(15, using=database_alias)
            both.wait(timeout=10)
            for start in range(0, len(records), size):
                sink.record(records[start : start + size])
        except BaseException as error:  # noqa: BLE001  (shown by the assertion)
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(size,), daemon=True) for size in (3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert errors == []
    clicks = [record.row.publish_id for record in records if record.row and not record.is_view]
    assert sorted(stored_ids(database_alias)) == sorted(clicks)
    uniques = DayUnique.objects.using(database_alias).order_by("action").values_list("action", "count")
    assert list(uniques) == [("click", 15), ("view", 5)]
    assert Sink(15, using=database_alias).position() == f"{EPOCH}-200"
    assert Position.objects.using(database_alias).get().lost_events == 0
    views = [record.row for record in records if record.row and record.is_view]
    assert len(views) == 50
    assert_counts_are_those_of_the_rows(database_alias, *views)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Sequence[Record], list[Sequence[Record]]]:
    """A log, and batches that deliver all of it in order, with repeats from anywhere before."""
    length = draw(st.integers(1, 30))
    kind = st.tuples(
        st.sampled_from("ab"), st.sampled_from(["", "own"]), st.sampled_from(["", "v", "w"]), st.integers(1, 20)
    )
    log = [
        make_record(
            seq,
            # A view has a publish id of its own: by the log's rules, and because no row tells that one is counted.
            publish_id=f"view-{seq:04}" if number % 3 == 0 else f"publish-{number}",
            action="view" if number % 3 == 0 else "click",
            name=name,
            label=label,
            visitor=visitor,
            page=f"/{number % 2}",
            viewed=number % 5 == 0,
            received_at=NOW + timedelta(minutes=5 * seq),
        )
        for seq, (name, label, visitor, number) in enumerate(
            draw(st.lists(kind, min_size=length, max_size=length)), start=1
        )
    ]
    batches, done = [], 0
    while done < length:
        start = draw(st.integers(0, done))
        done = draw(st.integers(done, length)) if start < done else draw(st.integers(done + 1, length))
        batches.append(log[start:done])
    return log, batches


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries())
def test_record_of_any_redelivery_counts_each_publish_id_once(
    database_alias: str, delivered: tuple[Sequence[Record], list[Sequence[Record]]]
) -> None:
    log, batches = delivered
    for model in (Interaction, Rollup, Position, DayUnique, DayVisitor):
        model.objects.using(database_alias).all().delete()
    sink = Sink(15, using=database_alias)

    reports = [sink.record(batch) for batch in batches]

    first = list({record.row.publish_id: record.row for record in reversed(log) if record.row}.values())[::-1]
    expected = [row.publish_id for row in sorted(first, key=seq_of) if row.action != "view"]
    assert stored_ids(database_alias) == expected
    assert sum(report.inserted for report in reports) == len(expected)
    assert sum(report.views for report in reports) == len(first) - len(expected)
    assert sum(report.inserted + report.views + report.duplicates for report in reports) == sum(map(len, batches))
    assert sink.position() == f"{EPOCH}-{len(log)}"
    assert Position.objects.using(database_alias).get().lost_events == 0
    assert_counts_are_those_of_the_rows(database_alias, *(row for row in first if row.action == "view"))
    who = {
        (row.action, row.name, row.received_at.date(), row.visitor) for row in first if row.visitor and not row.label
    }
    days = DayUnique.objects.using(database_alias).values_list("action", "name", "day", "count")
    assert {tuple(key): count for *key, count in days} == Counter(key[:3] for key in who)


def seq_of(row: Row) -> int:
    return int(row.event_id.rpartition("-")[2])


def test_record_keeps_when_the_newest_interaction_came_and_how_late_it_was_recorded(
    sink: Sink, database_alias: str
) -> None:
    received = timezone.now() - timedelta(seconds=90)
    sink.record([make_record(1, received_at=received)])
    sink.record([Record(EventId(EPOCH, 2))])

    position = Position.objects.using(database_alias).get()
    assert position.received_at == received
    assert position.lag is not None
    assert 90 <= position.lag.total_seconds() < 100


def test_record_of_what_came_in_the_future_by_another_clock_has_no_lag(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1, received_at=timezone.now() + timedelta(hours=1))])

    assert Position.objects.using(database_alias).get().lag == timedelta()


def test_begin_and_end_name_the_holder_and_take_it_back(sink: Sink, database_alias: str) -> None:
    sink.begin()
    held = Position.objects.using(database_alias).get()
    sink.end()
    free = Position.objects.using(database_alias).get()

    assert held.holder == f"{socket.gethostname()}:{os.getpid()}"
    assert held.connected_since is not None
    assert timezone.now() - held.connected_since < timedelta(minutes=1)
    assert (free.holder, free.connected_since) == ("", None)


def test_end_leaves_another_holder(sink: Sink, database_alias: str) -> None:
    other = Sink(15, using=database_alias)
    other.holder = "other:1"
    sink.begin()
    other.begin()
    sink.end()

    assert Position.objects.using(database_alias).get().holder == "other:1"


def test_record_of_one_of_two_workers_names_that_one(sink: Sink, database_alias: str) -> None:
    """The other may have been killed since."""
    other = Sink(15, using=database_alias)
    other.holder = "other:1"
    sink.begin()
    other.begin()
    sink.record([make_record(1)])

    assert Position.objects.using(database_alias).get().holder == sink.holder


def test_dry_run_reports_like_a_sink_and_writes_nothing(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1)])
    before = list(Position.objects.using(database_alias).values())
    again = make_record(2, publish_id=make_record(1).row.publish_id)
    batch = [make_record(1), again, make_record(3), make_record(6), Record(EventId(EPOCH, 7), malformed=True)]
    dry = DryRunSink(15, using=database_alias)

    dry.begin()
    with CaptureQueriesContext(connections[database_alias]) as queries:
        report = dry.record(batch)
    dry.end()

    assert dry.position() == f"{EPOCH}-7"
    assert all(query["sql"].startswith("SELECT") for query in queries)
    assert list(Position.objects.using(database_alias).values()) == before
    assert len(stored_ids(database_alias)) == 1
    assert report == sink.record(batch)


def test_dry_run_told_to_go_on_elsewhere_does_so_and_writes_nothing(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1)])
    dry_run = DryRunSink(15, using=database_alias)

    report = dry_run.resume(f"{EPOCH}-1", EventId(EPOCH, 5))

    assert report is not None
    assert (report.lost, dry_run.position()) == (4, f"{EPOCH}-5")
    assert sink.position() == f"{EPOCH}-1"
    assert gaps(database_alias) == []


def test_dry_run_on_a_stream_without_a_position_makes_none(database_alias: str) -> None:
    assert DryRunSink(15, using=database_alias).position() == "0"
    assert not Position.objects.using(database_alias).exists()
