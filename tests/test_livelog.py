"""The log as a page shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import connections, router
from django.test import override_settings

from inlive_banner.envelope import LABELS
from inlive_banner.livelog import LABEL_WORDS, PAGE_ROWS, LogLine, parse_before, read_live_log
from inlive_banner.models import DayUnique, Interaction, Position, Rollup
from inlive_banner.snapshot import Totals
from tests.rows import NOON, make_interaction


def line(**overrides):
    values = {"publish_id": "p", "user_id": "u", "action": "click", "name": "n", "page": "", "time": NOON}
    return LogLine(**(values | overrides))


@pytest.fixture
def rows(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-120")
    Rollup.objects.create(stream_id=15, name="sale", action="click", quarter=NOON, count=100)
    Rollup.objects.create(stream_id=15, name="sale", action="share", quarter=NOON, count=20)
    made = Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 121))
    make_interaction(500, stream_id=16).save()
    return made


def numbers_of(log):
    return [int(row.publish_id.removeprefix("publish-")) for row in log.lines]


def test_log_shows_the_newest_rows_the_clicks_and_their_position(rows):
    log = read_live_log(15)

    assert numbers_of(log) == list(range(120, 70, -1))
    assert log.totals.clicks == 100
    assert log.last_event_id == "a1b2c3d4-120"
    assert log.older_than == rows[70].pk
    assert log.is_newest


def test_log_pages_lead_to_the_oldest_row_and_miss_or_double_none(rows):
    seen, before = [], None
    for _ in range(3):
        log = read_live_log(15, before=before)
        seen += numbers_of(log)
        before = log.older_than

    assert before is None
    assert seen == list(range(120, 0, -1))


def test_log_of_exactly_one_page_has_nothing_older(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-1")
    Interaction.objects.bulk_create(make_interaction(number) for number in range(PAGE_ROWS))

    log = read_live_log(15)

    assert len(log.lines) == PAGE_ROWS
    assert log.older_than is None


def test_log_of_a_stream_that_has_none_begins_at_the_oldest(db):
    log = read_live_log(15)

    assert (log.lines, log.totals, log.last_event_id, log.older_than) == ((), Totals(), "0", None)


def test_log_leaves_out_what_is_recorded_after_its_position(rows, monkeypatch):
    """Such a row comes live: shown here too it would be doubled, or counted without being in the total."""
    snapshot = Position.objects.snapshot(15)
    make_interaction(121).save()
    monkeypatch.setattr(type(Position.objects.all()), "snapshot", lambda *_: snapshot)
    monkeypatch.setattr(type(Position.objects), "snapshot", lambda *_: snapshot)

    assert numbers_of(read_live_log(15))[0] == 120


def test_log_takes_two_queries(rows, django_assert_num_queries):
    read_live_log(15)  # Django asks SQLite once whether it knows JSON
    with django_assert_num_queries(2):
        read_live_log(15)
    with django_assert_num_queries(2):
        read_live_log(15, before=rows[60].pk)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
def test_log_reads_by_index(database_alias, monkeypatch, django_assert_num_queries, everything):
    """However many rows there are, and however many of them are labelled: no scan of the table, no sort."""
    monkeypatch.setattr(router, "db_for_read", lambda *_args, **_hints: database_alias)
    Position.objects.using(database_alias).create(stream_id=15, last_event_id="a1b2c3d4-1")
    Interaction.objects.using(database_alias).bulk_create(
        make_interaction(number, stream_id=15 + number % 3, label="crawler" if number % 2 else "")
        for number in range(3000)
    )
    connection = connections[database_alias]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    read_live_log(15)  # Django asks SQLite once whether it knows JSON
    with django_assert_num_queries(2, connection=connection) as captured:
        read_live_log(15, everything=everything)

    for query in captured.captured_queries:
        if "inlive_banner_interaction" in query["sql"]:
            assert_by_index(connection, query["sql"])


def assert_by_index(connection, sql):
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            steps = [row[3] for row in cursor.fetchall() if "interaction" in row[3] or "TEMP B-TREE" in row[3]]
            assert steps
            assert all("USING" in step and "INDEX" in step for step in steps), steps
            if '"inlive_banner_interaction"."label" = ' in sql:
                # PostgreSQL takes it too where people are rare; here they aren't, and any index ends soon.
                assert "inlive_interaction_people" in str(steps)
        else:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "on inlive_banner_interaction" in plan, plan
            assert "Seq Scan on inlive_banner_interaction" not in plan, plan
            assert "Sort" not in plan, plan


@pytest.fixture
def labelled(db):
    """Thirty clicks of people, of which ten were seen first, five of a crawler, and views."""
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-35")
    key = {"stream_id": 15, "name": "sale", "quarter": NOON}
    Rollup.objects.create(**key, action="click", count=30, viewed=10)
    Rollup.objects.create(**key, action="click", label="crawler", count=5, viewed=2)
    Rollup.objects.create(**key, action="view", count=400)
    Rollup.objects.create(**key, action="view", label="crawler", count=80)
    DayUnique.objects.create(stream_id=15, name="sale", action="click", day=NOON.date(), count=12)
    DayUnique.objects.create(stream_id=15, name="sale", action="view", day=NOON.date(), count=300)
    return Interaction.objects.bulk_create(
        make_interaction(number, label="" if number % 7 else "crawler") for number in range(1, 36)
    )


def test_log_shows_and_counts_people_only(labelled):
    log = read_live_log(15)

    assert numbers_of(log) == [number for number in range(35, 0, -1) if number % 7]
    assert (log.totals.clicks, log.left_out, log.visitors, log.totals.views) == (30, 5, 12, 400)
    assert (log.click_rate, log.clicks_without_view) == (2.5, 20)
    assert not log.shows_everything


def test_log_of_everything_shows_and_counts_the_labelled_too(labelled):
    log = read_live_log(15, everything=True)

    assert numbers_of(log) == list(range(35, 0, -1))
    assert [row.label_words for row in log.lines[:2]] == ["crawler", ""]
    assert (log.totals.clicks, log.left_out, log.visitors, log.totals.views) == (35, 0, 12, 480)
    assert (log.click_rate, log.clicks_without_view) == (2.5, 23)


def test_log_of_people_pages_through_theirs_alone(labelled):
    before = labelled[20].pk

    assert numbers_of(read_live_log(15, before=before)) == [number for number in range(20, 0, -1) if number % 7]


@pytest.mark.parametrize(("viewed", "views", "rate"), [(3, 2, 100.0), (0, 5, 0.0), (5, 0, None), (1, 3, 100 / 3)])
def test_click_rate_is_a_share_of_the_views_and_never_above_all(labelled, viewed, views, rate):
    totals = Totals(clicks=9, viewed=viewed, views=views)

    assert replace(read_live_log(15), totals=totals).click_rate == rate


def test_clicks_without_a_view_are_never_less_than_none(labelled):
    assert replace(read_live_log(15), totals=Totals(clicks=1, viewed=3)).clicks_without_view == 0


def test_each_label_has_words_and_an_unknown_one_stands_for_itself():
    assert set(LABEL_WORDS) == set(LABELS)
    assert all(line(label=label).label_words for label in LABELS)
    assert line(label="moonlight").label_words == "moonlight"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("99999999999999999999999", None),
        (None, None),
        ("", None),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("x", None),
        ("1 OR 1=1", None),
        ("\u0661", None),
        ("1\n", None),
        ("\0", None),
    ],
)
def test_before_that_is_no_row_is_passed_over(text, expected):
    assert parse_before(text) == expected


def test_line_shows_the_visitors_time_and_the_channels_where_there_is_none(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-2")
    visited = make_interaction(1)
    unusable = make_interaction(2, visitor_time=None)
    Interaction.objects.bulk_create([visited, unusable])

    newest, oldest = read_live_log(15).lines

    assert oldest.time == visited.visitor_time
    assert newest.time == unusable.received_at


def test_line_names_an_action_other_than_a_click():
    assert line(action="share").other_action == "share"
    assert line(action="click").other_action == ""


def test_line_time_is_utc_with_milliseconds():
    assert line(time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)).iso_time == "2026-01-02T03:04:05.678Z"


@override_settings(USE_TZ=False, TIME_ZONE="Asia/Jakarta")
def test_line_time_without_time_zones_is_taken_as_the_sites_own():
    assert line(time=datetime(2026, 1, 2, 10, 4, 5)).iso_time == "2026-01-02T03:04:05.000Z"  # noqa: DTZ001
