"""The numbers of a period: what the worker counts, read back, is what counting one by one would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from inlive_banner import figures, rows
from inlive_banner.counts import Counts, _cover_by
from inlive_banner.figures import Bar, Figures, Totals, read_figures
from inlive_banner.models import DayUnique, Interaction, Rollup, Span, rollup_value
from inlive_banner.periods import Period
from inlive_banner.query import EVERYTHING, OTHERS, PEOPLE, parse_query
from inlive_banner.rollups import BEGINNING
from inlive_banner.rows import LogRows
from inlive_banner.tail.sink import Sink
from tests.rows import make_interaction, save_rollups
from tests.tail.making import make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

NOW = datetime(2026, 11, 24, 12, 7, 30, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati"]
LONG = "/" + "x" * 410
PAGES = ["", "/", "/sale/", f"{LONG}a", f"{LONG}b"]
NAMES = ["sale", " blank ", ""]


def make_log(random, size):
    """Two years of everything, most of it lately, some at the very borders of days and quarter hours."""
    times = []
    for _ in range(size):
        ago = timedelta(seconds=random.choice([3_600, 3_600, 86_400, 3 * 86_400, 40 * 86_400, 700 * 86_400]))
        time = NOW - ago * random.random()
        if random.random() < 0.3:
            border = time.replace(minute=random.choice([0, 15, 45]), second=0, microsecond=0)
            time = min(border - timedelta(microseconds=random.choice([0, 1])), NOW)
        times.append(time)
    return [
        make_record(
            seq,
            received_at=time,
            name=random.choice(NAMES),
            page=random.choice(PAGES),
            action=random.choice(["click", "click", "click", "share", "view"]),
            user_id=random.choice(["u1", "u2", "u3"]),
            label=random.choice(["", "", "", "own", "crawler"]),
            visitor=random.choice(["", "v", "w", "x"]),
            viewed=random.random() < 0.3,
        )
        for seq, time in enumerate(sorted(times), start=1)
    ]


def make_params(random):
    params = {
        "banner": random.choice(["", "", *NAMES]),
        "path": random.choice(["", "", "", *PAGES, rollup_value(PAGES[-1])]),
        "action": random.choice(["", "", "", "click", "share", "view"]),
        "user": random.choice(["", "", "", "u1", "nobody"]),
        "who": random.choice(["", "", "everything", "others"]),
        "tz": random.choice(ZONES),
        "period": random.choice(["", "hour", "today", "yesterday", "7d", "30d"]),
    }
    if random.random() < 0.4:
        first = NOW.date() - timedelta(days=random.choice([0, 1, 2, 10, 99, 100, 101, 400, 800]))
        params["from"] = first.isoformat()
        params["to"] = (first + timedelta(days=random.choice([0, 0, 1, 2, 30, 99, 100, 500, 1200]))).isoformat()
    return params


def chosen(log, query, since, until, *, action=None, who=None):
    """What the query means, one by one."""
    who = who or query.who
    return [
        row
        for row in log
        if (not query.banner or row.name == query.banner)
        and (not query.page or query.page in (row.page, rollup_value(row.page)))
        and (not query.user or row.user_id == query.user)
        and row.action == (action or query.counted_action)
        and (who == EVERYTHING or (row.label == "") == (who == PEOPLE))
        and (since is None or since <= row.received_at)
        and (until is None or row.received_at < until)
    ]


def expected_totals(log, query, since, until):
    rows = chosen(log, query, since, until)
    views = chosen(log, query, since, until, action="view")
    return Totals(clicks=len(rows), viewed=sum(row.viewed for row in rows), views=len(views))


def expected_visitors(log, query, first, last):
    rows = chosen(log, query, None, None)
    days = {(row.name, row.received_at.date(), row.visitor) for row in rows if row.visitor}
    return len([day for _, day, _ in days if first is None or first <= day <= last])


def assert_right(found, log, query):
    period, is_hour = query.period, query.period.key == "hour"
    from_rows = query.series is None
    if from_rows:  # views have none
        log = [row for row in log if row.action != "view"]
    rows = chosen(log, query, period.since, period.until)
    assert found.totals == expected_totals(log, query, period.since, period.until)
    before = expected_totals(log, query, *period.before) if period.since and not from_rows else None
    assert found.before == before
    others = chosen(log, query, period.since, period.until, who=OTHERS)
    assert found.left_out == (len(others) if query.who == PEOPLE else 0)

    if query.page or is_hour or query.who != PEOPLE or from_rows:
        assert (found.visitors, found.visitors_before) == (None, None)
    elif period.first_day is None:
        assert (found.visitors, found.visitors_before) == (expected_visitors(log, query, None, None), None)
    else:
        length = period.last_day - period.first_day + timedelta(days=1)
        assert found.visitors == expected_visitors(log, query, period.first_day, period.last_day)
        days_before = (period.first_day - length, period.last_day - length)
        assert found.visitors_before == expected_visitors(log, query, *days_before)

    if found.buckets is None:
        assert not rows
    else:
        borders = [*(bucket.start for bucket in found.buckets.items), found.buckets.until]
        counts = [sum(start <= row.received_at < end for row in rows) for start, end in pairwise(borders)]
        assert [bucket.count for bucket in found.buckets.items] == counts
        assert sum(counts) == len(rows)

    for bars, field, is_asked in ((found.banners, "name", query.banner), (found.pages, "page", query.page)):
        if is_asked or (bars is None and not from_rows and (query.banner or query.page)):
            assert bars is None
            continue
        values = Counter(getattr(row, field) for row in rows)
        if not from_rows and not (is_hour and field == "page"):
            values = Counter(rollup_value(getattr(row, field)) for row in rows)
        if field == "page" and is_hour and query.action == "view":
            values = Counter()
        assert {bar.value: bar.count for bar in bars} == values
        assert [bar.count for bar in bars] == sorted(values.values(), reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_are_what_counting_one_by_one_gives(database_alias, seed):
    random = Random(seed)
    records = make_log(random, 500)
    sink = Sink(15, using=database_alias)
    for start in range(0, len(records), 170):
        sink.record(records[start : start + 170])
    Sink(16, using=database_alias).record([make_record(1, received_at=NOW)])
    log = [record.row for record in records]
    rows = {row.publish_id: row for row in log if row.action != "view"}

    for _ in range(80):
        params = make_params(random)
        query = parse_query(params, 15, now=NOW)
        try:
            assert_right(read_figures(query, now=NOW, using=database_alias), log, query)
            listed = [row.publish_id for row in LogRows(query, using=database_alias).newest()]
            wanted = [
                row
                for action in ({query.action} if query.action else {"click", "share"})
                for row in chosen(rows.values(), query, query.period.since, query.period.until, action=action)
            ]
            assert sorted(listed) == sorted(row.publish_id for row in wanted)
            times = [rows[publish_id].received_at for publish_id in listed]
            assert times == sorted(times, reverse=True)
        except AssertionError as error:
            error.add_note(f"asked for {params}")
            raise


def read(using="default", now=NOW, stream_id=15, **params):
    return read_figures(parse_query(params, stream_id, now=now), now=now, using=using)


def test_stream_that_nothing_was_recorded_of_has_zeros():
    assert read() == Figures(totals=Totals(), visitors=0, banners=(), pages=())
    assert read(user="u") == Figures(totals=Totals(), banners=(), pages=())


def test_last_hour_is_counted_by_minutes(database_alias):
    """A quarter hour that began before it must not be in it whole, nor be missing."""
    ago = [59.6, 58.5, 58, 31, 1, 0.5, 0]
    Sink(15, using=database_alias).record(
        [
            make_record(seq, received_at=NOW - timedelta(minutes=minutes), page=f"/{seq % 2}")
            for seq, minutes in enumerate(ago, start=1)
        ]
    )
    hour = read(database_alias, period="hour")
    page = read(database_alias, period="hour", path="/0")

    assert (hour.totals.clicks, hour.before.clicks, hour.buckets.unit) == (6, 1, "minute")
    minutes = {number: bucket.count for number, bucket in enumerate(hour.buckets.items) if bucket.count}
    assert (len(hour.buckets.items), minutes) == (60, {1: 2, 28: 1, 58: 1, 59: 2})
    assert {bar.value: bar.count for bar in hour.pages} == {"/0": 3, "/1": 3}
    assert (page.totals.clicks, page.buckets.unit, page.has_more) == (3, "minute", False)


def test_busy_last_hour_lists_no_pages_rather_than_some(database_alias, monkeypatch):
    Sink(15, using=database_alias).record([make_record(seq, received_at=NOW) for seq in range(1, 7)])

    monkeypatch.setattr(figures, "COUNTED_ROWS", 6)
    assert read(database_alias, period="hour").pages == (Bar(value="/", count=6),)
    monkeypatch.setattr(figures, "COUNTED_ROWS", 5)
    assert read(database_alias, period="hour").pages is None
    assert read(database_alias, period="today").pages == (Bar(value="/", count=6),)


def test_rows_are_counted_one_by_one_up_to_a_bound(database_alias, monkeypatch):
    Interaction.objects.using(database_alias).bulk_create(
        [
            *(make_interaction(number, user_id="u", viewed=number > 5) for number in range(1, 8)),
            make_interaction(8, user_id="u", label="own"),
            make_interaction(9, user_id="u", action="share"),
        ]
    )
    monkeypatch.setattr(figures, "COUNTED_ROWS", 8)
    whole = read(database_alias, user="u")
    monkeypatch.setattr(figures, "COUNTED_ROWS", 7)
    more = read(database_alias, user="u")

    assert (whole.totals, whole.has_more, whole.left_out) == (Totals(clicks=7, viewed=2), False, 1)
    assert more == Figures(totals=Totals(clicks=6, viewed=2), has_more=True, left_out=1)
    assert whole.banners == (Bar(value="sale", count=7),)


def test_rows_that_are_not_looked_at_may_be_more(database_alias, monkeypatch):
    """Of the newest rows of the user, those that fit; and so with what is left out."""
    rows_of_u = [("click", ""), ("share", ""), ("click", "own"), ("click", ""), ("click", ""), ("click", "own")]
    Interaction.objects.using(database_alias).bulk_create(
        make_interaction(10 - number, user_id="u", action=action, label=label)
        for number, (action, label) in enumerate(rows_of_u)
    )
    monkeypatch.setattr(rows, "LOOKED_AT", 4)
    more = read(database_alias, user="u")
    monkeypatch.setattr(rows, "LOOKED_AT", 7)
    whole = read(database_alias, user="u")

    assert more == Figures(totals=Totals(clicks=2), has_more=True, left_out=1)
    assert (whole.totals, whole.has_more, whole.left_out) == (Totals(clicks=3), False, 2)


def test_row_of_a_clock_that_runs_ahead_is_in_the_chart(database_alias):
    make_interaction(1, user_id="u", received_at=NOW + timedelta(days=1)).save(using=database_alias)

    assert sum(bucket.count for bucket in read(database_alias, user="u").buckets.items) == 1


def test_lists_have_those_with_most_and_end(database_alias):
    for number in range(figures.TOP_LINES + 2):
        save_rollups(100 - number, name=f"banner-{number:02}", page=f"/{number:02}", using=database_alias)

    found = read(database_alias)

    assert found.banners == tuple(Bar(value=f"banner-{n:02}", count=100 - n) for n in range(figures.TOP_LINES))
    assert found.pages == tuple(Bar(value=f"/{n:02}", count=100 - n) for n in range(figures.TOP_LINES))


@pytest.mark.parametrize(("viewed", "views", "rate"), [(3, 2, 100.0), (0, 5, 0.0), (5, 0, None), (1, 3, 100 / 3)])
def test_click_rate_is_a_share_of_the_views_and_never_above_all(viewed, views, rate):
    assert Totals(clicks=9, viewed=viewed, views=views).click_rate == rate


def test_clicks_without_a_view_are_never_less_than_none():
    assert Totals(clicks=1, viewed=3).clicks_without_view == 0
    assert Totals(clicks=5, viewed=3).clicks_without_view == 2


@pytest.mark.parametrize(
    ("zone", "today"), [("UTC", 24), ("America/New_York", 24), ("Asia/Kathmandu", 24), ("Pacific/Kiritimati", 25)]
)
def test_visitors_of_a_day_are_those_of_the_utc_day_of_that_date(database_alias, zone, today):
    """They are known by the day in UTC only."""
    for day in range(22, 27):
        DayUnique.objects.using(database_alias).create(
            stream_id=15, name="sale", action="click", day=NOW.date().replace(day=day), count=10**day // 10**20
        )

    found = read(database_alias, period="today", tz=zone)

    assert found.visitors == 10 ** (today - 20)
    assert found.visitors_before == 10 ** (today - 21)


QUARTER = timedelta(minutes=15)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUARTERS = st.integers(0, 450 * 96)


@settings(max_examples=500)
@given(QUARTERS, QUARTERS)
def test_any_period_is_covered_once_by_few_rollups(first: int, second: int) -> None:
    """Half of the days of two months, and half of the quarter hours of two days, at most."""
    since, until = BEGIN + min(first, second) * QUARTER, BEGIN + max(first, second) * QUARTER
    spans = (Span.MONTH, Span.DAY, Span.QUARTER)
    marks: Counter[datetime] = Counter()
    rollups: Counter[Span] = Counter()
    for stretch in _cover_by(since, until, spans):
        marks[stretch.since] += stretch.sign
        marks[stretch.until] -= stretch.sign
        rollups[stretch.span] += (stretch.until - stretch.since) // timedelta(seconds=stretch.span)

    assert {mark: step for mark, step in marks.items() if step} == ({since: 1, until: -1} if since < until else {})
    if until - since > timedelta(days=62):
        assert rollups[Span.DAY] <= 2 * 16
        assert rollups[Span.QUARTER] <= 2 * 48


YEAR_QUARTERS = 365 * 96


@pytest.fixture
def year(database_alias):
    """A year of one banner's counts: a click each quarter hour, and what that comes to by day and month."""
    connection = connections[database_alias]
    if connection.vendor == "sqlite":
        start = "strftime('%%Y-%%m-%%d %%H:%%M:%%S', '2025-11-25 00:00:00', (n * %s) || ' seconds')"
    else:
        start = "TIMESTAMPTZ '2025-11-25 00:00:00+00' + n * %s * INTERVAL '1 second'"
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
    columns = "stream_id, dimension, value, action, span, start, label, count, viewed"
    with connection.cursor() as cursor:
        for dimension, value in (("all", ""), ("banner", "sale")):
            for span, size in ((900, YEAR_QUARTERS), (86_400, 365)):
                cursor.execute(
                    f"{numbers} INSERT INTO inlive_banner_rollup ({columns}) "
                    f"SELECT 15, %s, %s, 'click', %s, {start}, '', %s, 0 FROM numbers",
                    [size - 1, dimension, value, span, span, span // 900],
                )
        for dimension, value in (("all", ""), ("banner", "sale")):
            begin, end = datetime(2025, 11, 25, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
            for month in range(10, 23):
                start = datetime(2025 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
                following = (start + timedelta(days=32)).replace(day=1)
                Rollup.objects.using(database_alias).create(
                    stream_id=15,
                    dimension=dimension,
                    value=value,
                    action="click",
                    span=2_592_000,
                    start=start,
                    count=96 * (min(following, end) - max(start, begin)).days,
                )
            Rollup.objects.using(database_alias).create(
                stream_id=15, dimension=dimension, value=value, action="click", span=0, start=BEGINNING, count=365 * 96
            )
        cursor.execute("ANALYZE")
    return database_alias


def rows_read(connection, queries):
    """How many rows PostgreSQL reads for these."""

    def of(node):
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if "Relation Name" in node else 0
        return read * node["Actual Loops"] + sum(of(child) for child in node.get("Plans", ()))

    total = 0
    with connection.cursor() as cursor:
        for query in queries:
            if query["sql"].startswith("SELECT"):
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                total += of(cursor.fetchone()[0][0]["Plan"])
    return total


class Cost:
    """How many rows were read; of SQLite guessed from its steps, of which a row takes some ten."""

    rows = 0.0


@contextmanager
def measured(connection) -> Iterator[Cost]:
    cost = Cost()

    def ten_steps() -> None:
        cost.rows += 1

    if connection.vendor == "sqlite":
        connection.connection.set_progress_handler(ten_steps, 10)
        try:
            yield cost
        finally:
            connection.connection.set_progress_handler(None, 0)
    else:
        with CaptureQueriesContext(connection) as captured:
            yield cost
        cost.rows = rows_read(connection, captured)


def test_all_time_is_read_as_one_count_of_each_value_and_not_as_all_that_there_is(year):
    with measured(connections[year]) as cost:
        banners = Counts(15, "click", now=NOW, using=year).most("banner", Period(), PEOPLE)

    assert banners == (Bar(value="sale", count=365 * 96),)
    assert cost.rows < 100


@pytest.mark.parametrize("params", [{}, {"banner": "sale"}], ids=["all", "banner"])
def test_year_is_read_as_months_and_days_and_not_as_quarter_hours(year, params):
    """Each of the handful of sums reads months, days at both ends, and the quarter hours of two half days at most."""
    asked = {"from": "2025-11-25", "to": "2026-11-23", "tz": "America/New_York", **params}
    with measured(connections[year]) as cost:
        found = read(year, **asked)

    assert found.totals.clicks == 364 * 96
    assert [bar.count for bar in found.banners or ()] == ([] if params else [364 * 96])
    assert cost.rows < (YEAR_QUARTERS / 5 if year == "default" else YEAR_QUARTERS / 10)
