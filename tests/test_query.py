"""What a reader asks of the log, and the rows that answer it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connections, transaction
from django.http import QueryDict
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.models import Dimension, Interaction, rollup_value
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


@both
@pytest.mark.parametrize("time", [datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_cursor_at_the_ends_of_time_is_answered(database_alias, time):
    make_interaction(1).save(using=database_alias)

    found = LogQuery(stream_id=15).older(Cursor(received_at=time, pk=MAX_ID), using=database_alias)

    assert len(found) == (time > NOON)


# Rows


@both
@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_pages_miss_and_double_none_however_many_were_received_at_once(database_alias, size):
    """And those of clocks that were set back come in the order of the clock."""
    seconds = [5, 5, 5, 5, 5, 1, 9, 1, 9, 9, 0, 0, 5, 5, 7, 7, 7, 7, 7, 7, 7, 3, 3, 3]
    Interaction.objects.using(database_alias).bulk_create(
        make_interaction(number, received_at=NOON + timedelta(seconds=second), label="own" if number % 5 == 0 else "")
        for number, second in enumerate(seconds)
    )
    query = LogQuery(stream_id=15)
    wanted = sorted((number for number in range(len(seconds)) if number % 5), key=lambda n: (-seconds[n], -n))

    seen, rows = [], list(query.rows(using=database_alias)[:size])
    while rows:
        seen += ids(rows)
        rows = list(query.older(Cursor.parse(str(Cursor.of(rows[-1]))), using=database_alias)[:size])

    assert seen == wanted


@both
def test_page_that_was_turned_to_stays_the_same_while_newer_ones_come(database_alias):
    Interaction.objects.using(database_alias).bulk_create(make_interaction(number) for number in range(1, 10))
    query = LogQuery(stream_id=15)
    cursor = Cursor.of(query.rows(using=database_alias)[3])
    before = ids(query.older(cursor, using=database_alias))

    same_time = Interaction.objects.using(database_alias).get(publish_id="publish-006").received_at
    make_interaction(500, received_at=same_time).save(using=database_alias)
    make_interaction(501).save(using=database_alias)

    assert ids(query.older(cursor, using=database_alias)) == before == [5, 4, 3, 2, 1]


@both
@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [9, 8, 6, 5, 4, 3, 2, 1]),
        ({"who": EVERYTHING}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"who": OTHERS}, [7]),
        ({"banner": "news"}, [2]),
        ({"banner": "new"}, []),
        ({"banner": "NEWS"}, []),
        ({"action": "share"}, [3]),
        ({"action": "click"}, [9, 8, 6, 5, 4, 2, 1]),
        ({"user": "visitor-4"}, [4]),
        ({"user": "visitor-"}, []),
        ({"user": "%"}, []),
        ({"page": "/sale/"}, [5]),
        ({"page": "/sale"}, []),
        ({"page": "/", "action": "share"}, [3]),
        ({"page": f"{LONG}a"}, [8]),
        ({"page": LONG}, []),
        ({"page": LONG[:200]}, []),
        ({"page": rollup_value(LONG)}, [9, 8]),
        ({"period": Period(since=NOON + timedelta(seconds=3), until=NOON + timedelta(seconds=5))}, [4, 3]),
        ({"banner": "sale", "action": "click", "user": "visitor-5", "page": "/sale/"}, [5]),
    ],
    ids=str,
)
def test_rows_are_those_that_are_asked_for(database_alias, asked, numbers):
    special = {
        2: {"name": "news"},
        3: {"action": "share"},
        5: {"page": "/sale/"},
        6: {"page": LONG[:200] + "y"},
        7: {"label": "own"},
        8: {"page": f"{LONG}a"},
        9: {"page": f"{LONG}b"},
    }
    Interaction.objects.using(database_alias).bulk_create(
        make_interaction(number, received_at=NOON + timedelta(seconds=number), **special.get(number, {}))
        for number in range(1, 10)
    )
    make_interaction(1, stream_id=16).save(using=database_alias)

    assert ids(LogQuery(stream_id=15, **asked).rows(using=database_alias)) == numbers


# Indexes

PERIOD = Period(since=NOON, until=NOON + timedelta(hours=1))
FILTERS = {
    "all": ({}, "inlive_interaction_order"),
    "banner": ({"banner": "banner-1"}, "inlive_interaction_banner"),
    "action": ({"action": "share"}, "inlive_interaction_action"),
    "clicks": ({"action": "click"}, "inlive_interaction_order"),
    "user": ({"user": "user-1"}, "inlive_interaction_user"),
    "page": ({"page": "/1/"}, "inlive_interaction_page"),
    "cut page": ({"page": rollup_value(LONG)}, "inlive_interaction_page"),
    "several": ({"banner": "banner-1", "action": "share", "user": "user-1", "page": "/1/"}, "inlive_interaction_"),
}


@pytest.fixture
def many(database_alias):
    """Interactions of three streams, half of them labelled."""
    Interaction.objects.using(database_alias).bulk_create(
        make_interaction(
            number,
            stream_id=15 + number % 3,
            label="crawler" if number % 2 else "",
            name=f"banner-{number % 7}",
            page=f"/{number % 11}/" if number % 13 else LONG,
            user_id=f"user-{number % 101}",
            action="click" if number % 17 else "share",
        )
        for number in range(3000)
    )
    return database_alias


def plan_on_sqlite(rows):
    steps = rows.explain().splitlines()
    assert len(steps) == 1, steps  # one table, no sort
    assert "SEARCH inlive_banner_interaction USING INDEX" in steps[0]
    assert "(stream_id=?" in steps[0]
    return steps[0]


def plan_on_postgresql(rows):
    """With all that it does on a small table because that is as fast there taken away."""
    with transaction.atomic(using=rows.db), connections[rows.db].cursor() as cursor:
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        (plan,) = json.loads(rows.explain(format="json"))
    scan = plan["Plan"]["Plans"][0] if plan["Plan"]["Node Type"] == "Limit" else plan["Plan"]
    assert scan["Node Type"] == "Index Scan", plan
    assert "stream_id" in scan["Index Cond"]
    return scan["Index Name"] + " " + scan["Index Cond"]


@both
@pytest.mark.parametrize("analyzed", [False, True], ids=["new", "analyzed"])
def test_rows_of_each_filter_are_read_by_an_index_in_their_order(many, analyzed):
    """No scan of the table and no sort: alone, of all, people and others, in a period, and on further pages."""
    if analyzed:
        with connections[many].cursor() as cursor:
            cursor.execute("ANALYZE")
    plan = plan_on_sqlite if connections[many].vendor == "sqlite" else plan_on_postgresql
    people = {PEOPLE: "inlive_interaction_people", OTHERS: "inlive_interaction_others"}
    cursor_place = Cursor(received_at=NOON + timedelta(minutes=30), pk=1500)
    for asked, index in FILTERS.values():
        for who in (PEOPLE, EVERYTHING, OTHERS):
            for period in (Period(), PERIOD):
                query = LogQuery(stream_id=15, who=who, period=period, **asked)
                for is_further, rows in (
                    (False, query.rows(using=many)),
                    (True, query.older(cursor_place, using=many)),
                ):
                    found = plan(rows[:51])
                    if index == "inlive_interaction_order":
                        assert (people.get(who) or index) in found, (asked, who, period)
                    else:
                        assert index in found, (asked, who, period)
                    if period.since or is_further:
                        assert "received_at" in found, "it begins at its place in the index"


def steps_of(query):
    """How many steps SQLite takes for a page of its rows, with parameters as it is really asked."""
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    database = connections["default"].connection
    database.set_progress_handler(count, 1)
    try:
        list(query.rows()[:51])
    finally:
        database.set_progress_handler(None, 0)
    return steps


@pytest.mark.django_db
def test_rows_cost_the_same_among_more_rows():
    queries = [LogQuery(stream_id=15, page="/1/"), LogQuery(stream_id=15), LogQuery(stream_id=15, who=OTHERS)]
    costs = []
    for first in (0, 1500):
        Interaction.objects.bulk_create(
            make_interaction(number, page="/1/" if number < 60 else "/", label="own" if number % 2 else "")
            for number in range(first, first + 1500)
        )
        costs.append([steps_of(query) for query in queries])

    assert costs[1] == pytest.approx(costs[0], rel=0.1)
