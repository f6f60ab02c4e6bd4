"""The rows that a question means: read by index, in pages, and no further back than is bearable."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner import rows as rows_module
from inlive_banner.models import Dimension, Interaction, Rollup, Span, rollup_value
from inlive_banner.periods import Period
from inlive_banner.query import EVERYTHING, OTHERS, PEOPLE, Cursor, LogQuery
from inlive_banner.rows import LogRows
from tests.rows import NOON, make_interaction

both = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
MAX_ID = 2**63 - 1
LONG = "/" + "x" * 410


def ids(rows):
    return [int(row.publish_id.removeprefix("publish-")) for row in rows]


@both
@pytest.mark.parametrize("time", [datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_cursor_at_the_ends_of_time_is_answered(database_alias, time):
    make_interaction(1).save(using=database_alias)

    found = LogRows(LogQuery(stream_id=15), using=database_alias).older(Cursor(received_at=time, pk=MAX_ID))

    assert len(found) == (time > NOON)


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

    seen, rows = [], list(LogRows(query, using=database_alias).newest()[:size])
    while rows:
        seen += ids(rows)
        rows = list(LogRows(query, using=database_alias).older(Cursor.parse(str(Cursor.of(rows[-1]))))[:size])

    assert seen == wanted


@both
def test_page_that_was_turned_to_stays_the_same_while_newer_ones_come(database_alias):
    Interaction.objects.using(database_alias).bulk_create(make_interaction(number) for number in range(1, 10))
    query = LogQuery(stream_id=15)
    cursor = Cursor.of(LogRows(query, using=database_alias).newest()[3])
    before = ids(LogRows(query, using=database_alias).older(cursor))

    same_time = Interaction.objects.using(database_alias).get(publish_id="publish-006").received_at
    make_interaction(500, received_at=same_time).save(using=database_alias)
    make_interaction(501).save(using=database_alias)

    assert ids(LogRows(query, using=database_alias).older(cursor)) == before == [5, 4, 3, 2, 1]


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

    assert ids(LogRows(LogQuery(stream_id=15, **asked), using=database_alias).newest()) == numbers


# Indexes

PERIOD = Period(since=NOON, until=NOON + timedelta(hours=1))
FAR_BACK = Cursor(received_at=NOON + timedelta(minutes=2), pk=1)
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


STATISTICS = {"none": None, "of now": 3000, "of a small table": 3}


@pytest.fixture(params=STATISTICS)
def many(request, database_alias):
    """Interactions of three streams, half of them labelled; with statistics of so many of them."""
    numbers = [*range(3000)]
    analyzed = STATISTICS[request.param] or 0
    fill(database_alias, numbers[:analyzed])
    if analyzed:
        with connections[database_alias].cursor() as cursor:
            cursor.execute("ANALYZE")
    fill(database_alias, numbers[analyzed:])
    if analyzed and connections[database_alias].vendor == "postgresql":
        with connections[database_alias].cursor() as cursor:
            cursor.execute("ANALYZE")  # as it does by itself once a table has grown; SQLite never does
    return database_alias


def fill(using, numbers):
    Interaction.objects.using(using).bulk_create(
        make_interaction(
            number,
            stream_id=15 + number % 3,
            label="crawler" if number % 2 else "",
            name=f"banner-{number % 7}",
            page=f"/{number % 11}/" if number % 13 else LONG,
            user_id=f"user-{number % 101}",
            action="click" if number % 17 else "share",
        )
        for number in numbers
    )


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
def test_rows_of_each_filter_are_read_by_an_index_in_their_order(many):
    """No scan of the table and no sort: alone, of all, people and others, in a period, and on further pages."""
    plan = plan_on_sqlite if connections[many].vendor == "sqlite" else plan_on_postgresql
    people = {PEOPLE: "inlive_interaction_people", OTHERS: "inlive_interaction_others"}
    cursor_place = Cursor(received_at=NOON + timedelta(minutes=30), pk=1500)
    for asked, index in FILTERS.values():
        for who in (PEOPLE, EVERYTHING, OTHERS):
            for period in (Period(), PERIOD):
                rows_of = LogRows(LogQuery(stream_id=15, who=who, period=period, **asked), using=many)
                for is_further, rows in (
                    (False, rows_of.newest()),
                    (True, rows_of.older(cursor_place)),
                    (True, rows_of.older(cursor_place, back_to=FAR_BACK)),
                ):
                    found = plan(rows[:51])
                    if index == "inlive_interaction_order":
                        assert (people.get(who) or index) in found, (asked, who, period)
                    else:
                        assert index in found, (asked, who, period)
                    if period.since or is_further:
                        assert "received_at" in found, "it begins at its place in the index"


def steps(read):
    """How many steps SQLite takes for it, with parameters as it is really asked."""
    taken = 0

    def count():
        nonlocal taken
        taken += 1

    database = connections["default"].connection
    database.set_progress_handler(count, 1)
    try:
        read()
    finally:
        database.set_progress_handler(None, 0)
    return taken


@pytest.mark.django_db
def test_rows_cost_the_same_among_more_rows():
    queries = [LogQuery(stream_id=15, page="/1/"), LogQuery(stream_id=15), LogQuery(stream_id=15, who=OTHERS)]
    costs = []
    for first in (0, 1500):
        Interaction.objects.bulk_create(
            make_interaction(number, page="/1/" if number < 60 else "/", label="own" if number % 2 else "")
            for number in range(first, first + 1500)
        )
        costs.append([steps(lambda query=query: list(LogRows(query).newest()[:51])) for query in queries])

    assert costs[1] == pytest.approx(costs[0], rel=0.1)


# How far back


@both
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pages_that_look_no_further_miss_and_double_none(database_alias, data):
    """Each page looks at no more than it may, and all pages together have each row once, in order."""
    draw = data.draw
    kinds = draw(st.lists(st.tuples(*[st.sampled_from("ab")] * 3, st.sampled_from(["", "own"])), max_size=40))
    seconds = draw(st.lists(st.integers(0, 6), min_size=len(kinds), max_size=len(kinds)))
    asked = {name: draw(st.sampled_from(["", "a", "c"])) for name in ("banner", "page", "user", "action")}
    query = LogQuery(stream_id=15, who=draw(st.sampled_from([PEOPLE, EVERYTHING, OTHERS])), **asked)
    looked_at, limit = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    found = Interaction.objects.using(database_alias)
    found.all().delete()
    found.bulk_create(
        make_interaction(
            number,
            received_at=NOON + timedelta(seconds=second),
            **dict(zip(("name", "page", "user_id", "label"), kind, strict=True)),
            action="a" if number % 3 else "click",
        )
        for number, (kind, second) in enumerate(zip(kinds, seconds, strict=True))
    )
    rows = LogRows(query, using=database_alias)
    wanted = ids(rows.newest())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "LOOKED_AT", looked_at)
        page = rows.page(limit=limit)
        seen = ids(page.rows)
        for _ in range(len(kinds) + 1):
            assert len(page.rows) <= limit
            assert page.looked_back_to is None or len(page.rows) <= min(limit, looked_at)
            if page.older is None:
                break
            page = rows.page(before=page.older, limit=limit)
            seen += ids(page.rows)

    assert page.older is None
    assert seen == wanted


@both
@pytest.mark.parametrize(
    ("asked", "stops"),
    [
        ({}, False),
        ({"who": EVERYTHING}, False),
        ({"who": OTHERS}, False),
        ({"banner": "banner-1", "who": EVERYTHING}, False),
        ({"page": "/1/", "who": EVERYTHING}, False),
        ({"user": "user-1", "who": EVERYTHING}, False),
        ({"action": "share", "who": EVERYTHING}, False),
        ({"banner": "banner-1"}, True),
        ({"page": "/1/", "who": OTHERS}, True),
        ({"page": LONG, "who": EVERYTHING}, True),
        ({"user": "user-1"}, True),
        ({"action": "share"}, True),
        ({"action": "click", "who": EVERYTHING}, True),
        ({"banner": "banner-1", "page": "/1/", "who": EVERYTHING}, True),
        ({"banner": "banner-1", "action": "share", "who": EVERYTHING}, True),
    ],
    ids=str,
)
def test_page_stops_only_where_its_index_has_other_rows_too(database_alias, monkeypatch, asked, stops):
    fill(database_alias, range(1500))
    monkeypatch.setattr(rows_module, "LOOKED_AT", 2)
    horizon = LogRows(LogQuery(stream_id=15, **asked), using=database_alias).horizon()

    assert (horizon is not None) is stops


@pytest.mark.django_db
def test_two_filters_that_never_meet_cost_no_more_among_more_rows(monkeypatch):
    """However many rows the narrower one has."""
    monkeypatch.setattr(rows_module, "LOOKED_AT", 100)
    costs = []
    for first in (0, 2000):
        Interaction.objects.bulk_create(
            make_interaction(number, **({"page": "/1/"} if number % 2 else {"name": "x"}))
            for number in range(first, first + 2000)
        )
        costs.append(steps(lambda: LogRows(LogQuery(stream_id=15, banner="x", page="/1/")).page(limit=50)))

    assert costs[1] == pytest.approx(costs[0], rel=0.1)


@pytest.mark.django_db
def test_two_filters_read_along_the_one_that_has_fewer_on_sqlite():
    """PostgreSQL knows itself."""
    for value, dimension, count in (("b", Dimension.BANNER, 5), ("/p/", Dimension.PAGE, 9)):
        Rollup.objects.create(
            stream_id=15, dimension=dimension, value=value, action="click", span=Span.EVER, start=NOON, count=count
        )
    fill("default", range(300))
    query = LogQuery(stream_id=15, banner="b", page="/p/")

    assert "inlive_interaction_banner" in plan_on_sqlite(LogRows(query).newest()[:51])

    Rollup.objects.filter(value="b").update(count=10)
    assert "inlive_interaction_page" in plan_on_sqlite(LogRows(query).newest()[:51])
