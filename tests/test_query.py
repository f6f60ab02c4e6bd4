"""What a reader asks of the log, and the rows that answer it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.models import Dimension, rollup_value
from inlive_banner.periods import PERIOD_WORDS, Period
from inlive_banner.query import EVERYTHING, OTHERS, PARAMETERS, PEOPLE, Cursor, LogQuery, parse_query
from tests.rows import NOON, make_interaction

both = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
MAX_ID = 2**63 - 1
LONG = "/" + "x" * 410


def ids(rows):
    return [int(row.publish_id.removeprefix("publish-")) for row in rows]


# Addresses


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", {}),
        ("banner=sale&action=share&user=u&path=/", {"banner": "sale", "action": "share", "user": "u", "page": "/"}),
        ("page=2", {}),
        ("who=everything", {"who": EVERYTHING}),
        ("who=others", {"who": OTHERS}),
        ("who=people", {}),
        ("who=x", {}),
        ("bots=1", {"who": EVERYTHING}),
        ("bots=0", {}),
        ("bots=1&who=others", {"who": OTHERS}),
        ("bots=1&who=people", {}),
        ("banner=a&banner=b", {"banner": "b"}),
        ("banner=%20sale%20", {"banner": " sale "}),
        ("banner=a%00b&user=%00", {"banner": "ab"}),
    ],
)
def test_address_says_what_is_asked_for(address, expected):
    query = parse_query(QueryDict(address).dict(), 15, now=NOON)

    assert query == LogQuery(stream_id=15, period=Period(zone=query.period.zone), **expected)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(
    banner=texts,
    action=texts,
    user=texts,
    path=texts,
    who=st.sampled_from([PEOPLE, EVERYTHING, OTHERS]),
    period=st.sampled_from(sorted(PERIOD_WORDS)),
    day=st.dates(date(1990, 1, 1), date(2900, 1, 1)),
)
def test_query_survives_its_own_address(banner, action, user, path, who, period, day):
    params = {"banner": banner, "action": action, "user": user, "path": path, "who": who, "period": period}
    if period == "custom":
        params |= {"from": f"{day}"}
    query = parse_query(params, 15, now=NOON)

    again = QueryDict(mutable=True)
    again.update(query.params())
    assert set(query.params()) <= set(PARAMETERS) - {"before"}
    assert parse_query(QueryDict(again.urlencode()).dict(), 15, now=NOON) == query


@override_settings(TIME_ZONE="Asia/Kathmandu")
def test_days_are_the_readers_and_the_sites_where_the_reader_says_none():
    site = parse_query({"period": "today"}, 15, now=NOON).period
    reader = parse_query({"period": "today", "tz": "America/New_York"}, 15, now=NOON).period

    assert site.since == datetime(2026, 11, 23, 18, 15, tzinfo=UTC)
    assert reader.since == datetime(2026, 11, 24, 5, tzinfo=UTC)
    assert reader.zone == ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("asked", "series"),
    [
        ({}, (Dimension.ALL, "")),
        ({"action": "share", "who": OTHERS}, (Dimension.ALL, "")),
        ({"banner": "sale"}, (Dimension.BANNER, "sale")),
        ({"page": "/"}, (Dimension.PAGE, "/")),
        ({"page": rollup_value(LONG)}, (Dimension.PAGE, rollup_value(LONG))),
        ({"page": LONG}, None),
        ({"page": "/", "period": Period(key="hour", since=NOON, until=NOON)}, None),
        ({"banner": "sale", "period": Period(key="hour", since=NOON, until=NOON)}, (Dimension.BANNER, "sale")),
        ({"banner": "sale", "page": "/"}, None),
        ({"user": "u"}, None),
        ({"user": "u", "banner": "sale"}, None),
    ],
)
def test_series_is_what_counts_exactly_the_same(asked, series):
    assert LogQuery(stream_id=15, **asked).series == series


# Cursors


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, MAX_ID),
)
def test_cursor_survives_its_text(time, pk):
    cursor = Cursor(received_at=time, pk=pk)

    assert Cursor.parse(str(cursor)) == cursor


def test_cursor_of_a_row_in_another_zone_is_the_same():
    local = make_interaction(1, pk=7, received_at=NOON.astimezone(ZoneInfo("Asia/Kathmandu")))

    assert str(Cursor.of(local)) == str(Cursor(received_at=NOON, pk=7))


@override_settings(USE_TZ=False, TIME_ZONE="Asia/Jakarta")
def test_cursor_without_time_zones_takes_the_sites_own():
    row = make_interaction(1, pk=7, received_at=datetime(2026, 11, 24, 19))  # noqa: DTZ001

    assert str(Cursor.of(row)) == str(Cursor(received_at=NOON, pk=7))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "1",
        "-1",
        "1-",
        "1-0",
        "-1-1",
        "1--1",
        "1-1-1",
        "1.5-1",
        " 1-1",
        "1-1\n",
        "1-1\0",
        "\u0661-1",
        "1-9223372036854775808",
        f"1-{'9' * 40}",
        "999999999999999999-1",
        "9999999999999999999-1",
        "x-y",
        "1-1 OR 1=1",
    ],
)
def test_text_that_is_no_cursor_is_passed_over(text):
    assert Cursor.parse(text) is None
