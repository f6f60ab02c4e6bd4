"""Views, labels and visitors: counted once, on real databases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inlive_banner.envelope import EventId
from inlive_banner.models import DayUnique, DayVisitor, Dimension, Interaction, Position, Rollup, Span
from inlive_banner.tail import counting
from inlive_banner.tail.dry_run import DryRunSink
from inlive_banner.tail.inserting import add_counts, insert_visitors
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Sink
from tests.rows import assert_rollups_count
from tests.tail.making import EPOCH, NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

OTHER_EPOCH = "fedcba9876543210"
TODAY = NOW.date()


@pytest.fixture
def sink(database_alias: str) -> Sink:
    return Sink(15, using=database_alias)


def make_view(seq: int = 1, **overrides: Any) -> Record:
    return make_record(seq, action="view", **overrides)


def counted(alias: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(name, action, label) -> (count, viewed), over all time: the same by quarter hour as by day."""
    quarters, days = (_summed(alias, span) for span in (Span.QUARTER, Span.DAY))
    assert quarters == days
    return days


def _summed(alias: str, span: Span) -> dict[tuple[str, str, str], tuple[int, int]]:
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for rollup in Rollup.objects.using(alias).by(Dimension.BANNER, span):
        key = (rollup.value, rollup.action, rollup.label)
        count, viewed = sums.get(key, (0, 0))
        sums[key] = (count + rollup.count, viewed + rollup.viewed)
    return sums


def uniques(alias: str) -> dict[tuple[str, str, date], int]:
    """(name, action, day) -> visitors."""
    rows = DayUnique.objects.using(alias).values_list("name", "action", "day", "count")
    return {tuple(key): count for *key, count in rows}


def views(alias: str) -> int:
    return sum(count for (_, action, _), (count, _) in counted(alias).items() if action == "view")


def test_view_is_counted_and_makes_no_row(sink: Sink, database_alias: str) -> None:
    report = sink.record([make_view(1), make_record(2, viewed=True), make_view(3)])

    assert (report.inserted, report.views, report.duplicates, report.passed_over) == (1, 2, 0, 0)
    assert report.position == f"{EPOCH}-3"
    assert Interaction.objects.using(database_alias).count() == 1
    assert counted(database_alias) == {("demo-banner", "click", ""): (1, 1), ("demo-banner", "view", ""): (2, 0)}


def test_view_delivered_again_isnt_counted_again(sink: Sink, database_alias: str) -> None:
    batch = [make_view(1), make_view(2)]
    sink.record(batch)

    report = sink.record(batch)

    assert (report.views, report.duplicates) == (0, 2)
    assert views(database_alias) == 2


def test_view_that_stands_twice_in_a_batch_is_counted_once(sink: Sink, database_alias: str) -> None:
    """As after a log that has lost what it knew of publish ids."""
    report = sink.record([make_view(1), make_view(2, publish_id=make_view(1).row.publish_id)])

    assert (report.views, report.duplicates) == (1, 1)
    assert views(database_alias) == 1


def test_click_with_the_publish_id_of_a_view_in_its_batch_is_stored(sink: Sink, database_alias: str) -> None:
    report = sink.record([make_view(1), make_record(2, publish_id=make_view(1).row.publish_id)])

    assert (report.inserted, report.views) == (1, 1)


def test_view_of_a_lost_logs_successor_is_new_and_an_older_log_that_comes_again_is_known(
    sink: Sink, database_alias: str
) -> None:
    old = [make_view(seq) for seq in (1, 2, 3)]
    sink.record(old)
    sink.resume(f"{EPOCH}-3", EventId(OTHER_EPOCH, 0), head=f"{OTHER_EPOCH}-0")
    assert sink.record([make_view(seq, epoch=OTHER_EPOCH) for seq in (1, 2)]).views == 2

    sink.resume(f"{OTHER_EPOCH}-2", EventId(EPOCH, 0), head=f"{EPOCH}-5")
    report = sink.record([*old, make_view(4), make_view(5)])

    assert (report.views, report.duplicates) == (2, 3)
    assert views(database_alias) == 7


def test_view_of_a_log_that_went_back_within_its_epoch_is_new(sink: Sink, database_alias: str) -> None:
    sink.record([make_view(seq) for seq in (1, 2, 3)])
    sink.resume(f"{EPOCH}-3", EventId(EPOCH, 1), head=f"{EPOCH}-1")

    report = sink.record([make_view(2, publish_id="publish-new-2"), make_view(3, publish_id="publish-new-3")])

    assert (report.views, report.duplicates) == (2, 0)
    assert sink.record([make_view(2), make_view(3)]).views == 0
    assert views(database_alias) == 5


def test_view_of_a_log_that_was_put_back_and_then_the_true_one_is_counted_once(sink: Sink, database_alias: str) -> None:
    """The backup was given an epoch of its own, as the manual says; later the lost log turns up again."""
    true = [make_view(seq) for seq in range(1, 6)]
    sink.record(true)
    sink.resume(f"{EPOCH}-5", EventId(EPOCH, 2), head=f"{EPOCH}-2")
    sink.record([make_view(3, epoch=OTHER_EPOCH)])

    sink.resume(f"{OTHER_EPOCH}-3", EventId(EPOCH, 0), head=f"{EPOCH}-6")
    report = sink.record([*true, make_view(6)])

    assert (report.views, report.duplicates) == (1, 5)
    assert views(database_alias) == 7


def test_position_set_back_by_hand_counts_no_view_twice(sink: Sink, database_alias: str) -> None:
    batch = [make_view(1), make_view(2)]
    sink.record(batch)
    Position.objects.using(database_alias).update(last_event_id="0")

    assert sink.record([*batch, make_view(3)]).views == 1
    assert views(database_alias) == 3


def test_view_without_an_event_id_isnt_counted(sink: Sink, database_alias: str) -> None:
    """Such a server's history has it at each connection, and nothing would tell it apart."""
    report = sink.record([make_view(1)._replace(event_id=None), make_record(2)._replace(event_id=None)])

    assert (report.inserted, report.views, report.passed_over) == (1, 0, 1)
    assert views(database_alias) == 0


def test_labelled_are_stored_and_counted_apart(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1), make_record(2, label="crawler"), make_view(3, label="crawler")])
    sink.record([make_record(4, label="crawler", viewed=True)])

    assert counted(database_alias) == {
        ("demo-banner", "click", ""): (1, 0),
        ("demo-banner", "click", "crawler"): (2, 1),
        ("demo-banner", "view", "crawler"): (1, 0),
    }
    labels = Interaction.objects.using(database_alias).order_by("pk").values_list("label", "viewed")
    assert list(labels) == [("", False), ("crawler", False), ("crawler", True)]


def test_visitor_counts_once_a_day_action_and_banner(sink: Sink, database_alias: str) -> None:
    tomorrow = NOW + timedelta(days=1)
    sink.record([make_record(1, visitor="v"), make_record(2, visitor="v"), make_record(3, visitor="w")])
    sink.record(
        [
            make_record(4, visitor="v"),
            make_record(5, visitor="x"),
            make_record(6, visitor="v", name="other"),
            make_view(7, visitor="v"),
            make_record(8, visitor="v", received_at=tomorrow),
        ]
    )

    assert uniques(database_alias) == {
        ("demo-banner", "click", TODAY): 3,
        ("other", "click", TODAY): 1,
        ("demo-banner", "view", TODAY): 1,
        ("demo-banner", "click", tomorrow.date()): 1,
    }
    assert DayVisitor.objects.using(database_alias).count() == 6


def test_visitor_of_a_click_that_is_stored_already_isnt_counted(sink: Sink, database_alias: str) -> None:
    """In a new epoch it comes again, when the visitors of its day may be forgotten already."""
    sink.record([make_record(1, visitor="v")])
    DayVisitor.objects.using(database_alias).all().delete()

    sink.record([make_record(1, epoch=OTHER_EPOCH, publish_id=make_record(1).row.publish_id, visitor="v")])

    assert uniques(database_alias) == {("demo-banner", "click", TODAY): 1}


@pytest.mark.parametrize("overrides", [{"visitor": ""}, {"visitor": "v", "label": "crawler"}], ids=["unknown", "bot"])
def test_who_is_unknown_or_labelled_is_no_visitor(sink: Sink, database_alias: str, overrides: dict[str, str]) -> None:
    sink.record([make_record(1, **overrides)])

    assert uniques(database_alias) == {}
    assert DayVisitor.objects.using(database_alias).count() == 0


def test_visitors_of_two_streams_are_counted_apart(sink: Sink, database_alias: str) -> None:
    sink.record([make_record(1, visitor="v")])
    Sink(16, using=database_alias).record([make_record(1, visitor="v")])

    rows = DayUnique.objects.using(database_alias).order_by("stream_id")
    assert list(rows.values_list("stream_id", "count")) == [(15, 1), (16, 1)]


def days_left(alias: str) -> list[int]:
    """How many days ago the visitors were there who are kept."""
    days = DayVisitor.objects.using(alias).values_list("day", flat=True).distinct()
    return sorted((TODAY - day).days for day in days)


def record_days(sink: Sink, *days_ago: int, first: int = 1) -> None:
    for seq, ago in enumerate(days_ago, start=first):
        sink.record([make_record(seq, visitor=f"visitor-{seq}", received_at=NOW - timedelta(days=ago))])


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's clock is the records'."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def test_visitors_are_forgotten_after_three_days(sink: Sink, database_alias: str, now: None) -> None:
    record_days(sink, 9, 4, 3, 1, 0)

    assert days_left(database_alias) == [0, 1, 3]
    assert sum(uniques(database_alias).values()) == 5


def test_visitors_of_a_quiet_stream_are_forgotten_by_the_clock(sink: Sink, database_alias: str, now: None) -> None:
    record_days(sink, 9)
    position = Position.objects.using(database_alias)
    position.update(updated_at=NOW - timedelta(minutes=59))
    assert counting.prune_quiet_stream(database_alias, 15) == 0, "it was busy lately, and may be catching up"

    position.update(updated_at=NOW - timedelta(minutes=61))

    assert counting.prune_quiet_stream(database_alias, 15) == 1 + 2, "the visitor, and its minute in two counts"
    assert days_left(database_alias) == []
    assert counting.prune_quiet_stream(database_alias, 15) == 0


def test_visitors_of_other_streams_stay(sink: Sink, database_alias: str, now: None) -> None:
    record_days(Sink(16, using=database_alias), 9)
    record_days(sink, 0)

    assert days_left(database_alias) == [0, 9]


def test_visitors_of_last_week_are_known_while_the_worker_catches_up_on_it(
    sink: Sink, database_alias: str, now: None
) -> None:
    for seq in (1, 2):
        sink.record([make_record(seq, visitor="v", received_at=NOW - timedelta(days=6))])

    assert list(uniques(database_alias).values()) == [1]


def test_visitors_of_today_survive_a_clock_that_ran_ahead(sink: Sink, database_alias: str, now: None) -> None:
    record_days(sink, 0, -400)

    assert days_left(database_alias) == [-400, 0]


def test_visitors_are_forgotten_a_few_with_each_batch(
    sink: Sink, database_alias: str, now: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = NOW - timedelta(days=20)
    sink.record([make_record(seq, visitor=f"v{seq}", received_at=old) for seq in range(1, 8)])
    monkeypatch.setattr(counting, "PRUNED_AT_ONCE", 3)

    left = []
    for seq in range(8, 12):
        sink.record([make_record(seq)])
        left.append(DayVisitor.objects.using(database_alias).count())

    assert left == [4, 1, 0, 0]


def minutes_left(alias: str) -> list[int]:
    """How many days ago the minutes were that are kept, of all and of banners alike."""
    kept = []
    for dimension in (Dimension.ALL, Dimension.BANNER):
        starts = Rollup.objects.using(alias).by(dimension, Span.MINUTE).values_list("start", flat=True)
        kept.append(sorted((TODAY - start.date()).days for start in starts))
    assert kept[0] == kept[1]
    return kept[0]


def test_minutes_are_forgotten_after_three_days_and_their_quarter_hours_and_days_stay(
    sink: Sink, database_alias: str, now: None
) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0)
    times = [NOW - timedelta(days=9), *(midnight - timedelta(days=3, seconds=seconds) for seconds in (1, 0)), NOW]
    for seq, time in enumerate(times, start=1):
        sink.record([make_record(2 * seq, received_at=time), make_view(2 * seq + 1, received_at=time)])

    assert minutes_left(database_alias) == [0, 0, 3, 3]
    views = [make_view(seq, received_at=time).row for seq, time in enumerate(times, start=1)]
    assert_rollups_count([*Interaction.objects.using(database_alias), *views], using=database_alias, minutes=False)


def test_minutes_of_other_streams_stay(sink: Sink, database_alias: str, now: None) -> None:
    record_days(Sink(16, using=database_alias), 9)
    record_days(sink, 0)

    assert minutes_left(database_alias) == [0, 9]


def test_minutes_are_forgotten_a_few_with_each_batch_until_none_is_left(
    sink: Sink, database_alias: str, now: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = NOW - timedelta(days=20)
    sink.record([make_record(seq, received_at=old + timedelta(minutes=seq)) for seq in range(1, 8)])
    monkeypatch.setattr(counting, "PRUNED_AT_ONCE", 3)

    left = []
    for seq in range(8, 12):
        sink.record([make_record(seq)])
        left.append(len(minutes_left(database_alias)) - 1)

    assert left == [4, 1, 0, 0]


def test_old_minutes_are_found_by_index(database_alias: str, now: None) -> None:
    """However many counts there are: a batch must not wait for it."""
    connection = connections[database_alias]
    Sink(15, using=database_alias).record(
        [make_record(seq, received_at=NOW - timedelta(minutes=4 * seq)) for seq in range(1, 2_000)]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        counting.prune_days(database_alias, 15, before=TODAY - timedelta(days=3))

    asked = [query["sql"] for query in queries if "inlive_banner_rollup" in query["sql"]]
    assert len(asked) >= 3
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"{'EXPLAIN QUERY PLAN' if connection.vendor == 'sqlite' else 'EXPLAIN'} {sql}")
            plan = str(cursor.fetchall())
        assert "inlive_rollup_most" in plan


def test_nothing_is_asked_for_old_visitors_once_none_is_left(sink: Sink, database_alias: str, now: None) -> None:
    sink.record([make_record(1)])
    with CaptureQueriesContext(connections[database_alias]) as queries:
        sink.record([make_record(2)])

    assert not [query["sql"] for query in queries if "dayvisitor" in query["sql"] or "DELETE" in query["sql"]]


def test_visitors_of_a_large_day_are_found_by_index(database_alias: str) -> None:
    connection = connections[database_alias]
    everybody = [f"visitor-{number}" for number in range(2_000)]
    key, other = (TODAY, "click", "n"), (TODAY, "view", "n")
    assert insert_visitors(connection, 15, {key: everybody}) == {key: 2_000}

    assert +insert_visitors(connection, 15, {key: [*everybody[:10], "new"], other: ["new"]}) == {key: 1, other: 1}
    assert not +insert_visitors(connection, 15, {key: ["new"]})
    with connection.cursor() as cursor:
        old = DayVisitor.objects.using(database_alias).filter(stream_id=15, day__lt=TODAY).values("pk")[:10]
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE")
        cursor.execute(f"{explain} {old.query}".replace("2026-11-24", "'2026-11-24'"))
        plan = str(cursor.fetchall())
    assert "inlive_dayvisitor_once" in plan or "COVERING INDEX" in plan


def test_visitor_whom_the_database_refuses_for_another_reason_is_told(database_alias: str) -> None:
    """Only who is there already is passed over."""
    with pytest.raises(IntegrityError):
        insert_visitors(connections[database_alias], 15, {(TODAY, "click", None): ["v"]})  # type: ignore[dict-item]


def test_counts_that_the_database_refuses_are_told(database_alias: str) -> None:
    row = {"stream_id": 15, "day": TODAY, "action": "click", "name": "n", "count": None}
    with pytest.raises(IntegrityError):
        add_counts(connections[database_alias], DayUnique, [row], added=("count",))


def test_dry_run_counts_views_like_a_sink_and_writes_nothing(sink: Sink, database_alias: str) -> None:
    sink.record([make_view(1), make_record(2)])
    dry = DryRunSink(15, using=database_alias)
    before = (counted(database_alias), sink.position())

    dry.resume(f"{EPOCH}-2", EventId(EPOCH, 0), head=f"{EPOCH}-2")
    report = dry.record([make_view(1), make_record(2), make_view(3, visitor="v")])

    assert (report.inserted, report.views, report.duplicates, report.position) == (0, 1, 2, f"{EPOCH}-3")
    assert (counted(database_alias), sink.position()) == before
    assert uniques(database_alias) == {}


def test_quarter_hours_of_labels_are_counted_apart_over_many_batches(sink: Sink, database_alias: str) -> None:
    times: list[datetime] = [NOW + timedelta(minutes=minutes) for minutes in (0, 10, 20)]
    for batch in range(3):
        sink.record(
            [
                make_record(batch * 6 + number * 2 + offset, received_at=time, label=label)
                for number, time in enumerate(times)
                for offset, label in ((1, ""), (2, "own"))
            ]
        )

    quarters = Rollup.objects.using(database_alias).by(Dimension.BANNER, Span.QUARTER)
    rows = quarters.order_by("start", "label").values_list("label", "count")
    assert list(rows) == [("", 3), ("own", 3), ("", 6), ("own", 6)]
