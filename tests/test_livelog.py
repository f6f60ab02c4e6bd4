"""The log as a page shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from inlive_banner.conf import settings
from inlive_banner.envelope import LABELS
from inlive_banner.figures import Totals
from inlive_banner.livelog import LABEL_WORDS, PAGE_ROWS, LogLine, read_live_log
from inlive_banner.models import DayUnique, Interaction, Position
from inlive_banner.periods import Period
from inlive_banner.query import EVERYTHING, OTHERS, Cursor, LogQuery
from tests.configured import configured
from tests.rows import NOON, make_interaction, save_rollups


def line(**overrides):
    values = {"publish_id": "p", "user_id": "u", "action": "click", "name": "n", "page": "", "time": NOON}
    return LogLine(**(values | overrides))


@pytest.fixture
def rows(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-120")
    save_rollups(100)
    save_rollups(20, action="share")
    made = Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 121))
    make_interaction(500, stream_id=16).save()
    return made


def read(**asked):
    before = asked.pop("before", None)
    return read_live_log(LogQuery(stream_id=15, **asked), before=before, now=NOON)


def numbers_of(log):
    return [int(row.publish_id.removeprefix("publish-")) for row in log.lines]


def test_log_shows_the_newest_rows_the_clicks_and_their_position(rows):
    log = read()

    assert numbers_of(log) == list(range(120, 70, -1))
    assert log.figures.totals.clicks == 100
    assert log.last_event_id == "a1b2c3d4-120"
    assert log.older_than == Cursor.of(rows[70])
    assert log.is_live


def test_log_pages_lead_to_the_oldest_row_and_miss_or_double_none(rows):
    seen, before, kinds = [], None, []
    for _ in range(3):
        log = read(before=before)
        seen += numbers_of(log)
        kinds.append(log.kind)
        before = log.older_than

    assert before is None
    assert seen == list(range(120, 0, -1))
    assert kinds == ["live", "older", "older"]


def test_log_of_a_period_that_is_over_stands_still(rows):
    over = Period(key="custom", since=NOON - timedelta(hours=1), until=NOON)

    log = read_live_log(LogQuery(stream_id=15, period=over), now=NOON)
    goes_on = read_live_log(LogQuery(stream_id=15, period=over), now=NOON - timedelta(microseconds=1))

    assert (log.kind, log.is_live, log.lines) == ("past", False, ())
    assert goes_on.kind == "live"


def test_log_of_exactly_one_page_has_nothing_older(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-1")
    Interaction.objects.bulk_create(make_interaction(number) for number in range(PAGE_ROWS))

    log = read()

    assert len(log.lines) == PAGE_ROWS
    assert log.older_than is None


def test_log_of_a_stream_that_has_none_begins_at_the_oldest(db):
    log = read()

    assert (log.lines, log.figures.totals, log.last_event_id, log.older_than) == ((), Totals(), "0", None)


@pytest.mark.parametrize("asked", [{}, {"who": EVERYTHING}, {"banner": "sale"}, {"user": "u"}, {"page": "/"}])
def test_log_takes_a_handful_of_queries(rows, django_assert_max_num_queries, asked):
    with django_assert_max_num_queries(14):
        read(**asked)
    with django_assert_max_num_queries(14):
        read(before=Cursor.of(rows[60]), **asked)


@pytest.fixture
def labelled(db):
    """Thirty clicks of people, of which ten were seen first, five of a crawler, and views."""
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-35")
    save_rollups(30, viewed=10)
    save_rollups(5, label="crawler", viewed=2)
    save_rollups(400, action="view")
    save_rollups(80, action="view", label="crawler")
    DayUnique.objects.create(stream_id=15, name="sale", action="click", day=NOON.date(), count=12)
    DayUnique.objects.create(stream_id=15, name="sale", action="view", day=NOON.date(), count=300)
    return Interaction.objects.bulk_create(
        make_interaction(number, label="" if number % 7 else "crawler") for number in range(1, 36)
    )


def test_log_shows_and_counts_people_only(labelled):
    log = read()

    assert numbers_of(log) == [number for number in range(35, 0, -1) if number % 7]
    figures = log.figures
    assert (figures.totals.clicks, figures.left_out, figures.visitors, figures.totals.views) == (30, 5, 12, 400)
    assert (figures.totals.click_rate, figures.totals.clicks_without_view) == (2.5, 20)


def test_log_of_everything_shows_and_counts_the_labelled_too(labelled):
    log = read(who=EVERYTHING)

    assert numbers_of(log) == list(range(35, 0, -1))
    assert [row.label_words for row in log.lines[:2]] == ["crawler", ""]
    figures = log.figures
    assert (figures.totals.clicks, figures.left_out, figures.visitors, figures.totals.views) == (35, 0, None, 480)
    assert (figures.totals.click_rate, figures.totals.clicks_without_view) == (2.5, 23)


def test_log_of_all_but_people_shows_and_counts_the_labelled_alone(labelled):
    log = read(who=OTHERS)

    assert numbers_of(log) == [35, 28, 21, 14, 7]
    figures = log.figures
    assert (figures.totals.clicks, figures.left_out, figures.visitors, figures.totals.views) == (5, 0, None, 80)


def test_log_of_people_pages_through_theirs_alone(labelled):
    assert numbers_of(read(before=Cursor.of(labelled[20]))) == [number for number in range(20, 0, -1) if number % 7]


def test_log_goes_on_from_the_position_of_its_own_stream(rows):
    Position.objects.create(stream_id=16, last_event_id="a1b2c3d4-500")

    with configured(STREAMS={16: {}}):
        log = read_live_log(LogQuery(stream_id=16), now=NOON)

    assert (log.last_event_id, numbers_of(log), log.stream_id) == ("a1b2c3d4-500", [500], "16")
    assert settings.signer.read_ticket(16, log.ticket).silent is False


def test_each_label_has_words_and_an_unknown_one_stands_for_itself():
    assert set(LABEL_WORDS) == set(LABELS)
    assert all(line(label=label).label_words for label in LABELS)
    assert line(label="moonlight").label_words == "moonlight"


def test_line_shows_the_visitors_time_and_the_channels_where_there_is_none(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-2")
    visited = make_interaction(1)
    unusable = make_interaction(2, visitor_time=None)
    Interaction.objects.bulk_create([visited, unusable])

    newest, oldest = read().lines

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
