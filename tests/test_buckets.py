"""A period cut into pieces for a chart."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inlive_banner.buckets import make_buckets
from inlive_banner.models import Span
from inlive_banner.periods import parse_period

NOW = datetime(2026, 11, 24, 12, 7, 30, tzinfo=UTC)


def cut(zone=UTC, now=NOW, **params):
    """The pieces of a period as an address names it."""
    if "first" in params:
        params = {"from": params["first"], "to": params["last"]}
    period = parse_period(params, zone=zone, now=now)
    return make_buckets(period.since, period.until, zone, is_hour=period.key == "hour", now=now)


def test_last_hour_is_cut_into_its_sixty_minutes():
    buckets = cut(period="hour")

    assert (buckets.unit, buckets.span, len(buckets.items)) == ("minute", Span.MINUTE, 60)
    assert buckets.items[0].start == datetime(2026, 11, 24, 11, 8, tzinfo=UTC)
    assert buckets.until == datetime(2026, 11, 24, 12, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "unit", "span", "number"),
    [
        ("2026-11-24", "2026-11-24", "hour", Span.QUARTER, 24),
        ("2026-11-23", "2026-11-24", "hour", Span.QUARTER, 48),
        ("2026-11-22", "2026-11-24", "day", Span.QUARTER, 3),
        ("2026-09-24", "2026-11-24", "day", Span.QUARTER, 62),
        ("2026-09-23", "2026-11-24", "week", Span.DAY, 10),
        ("2023-11-24", "2026-11-24", "week", Span.DAY, 158),
        ("2023-11-20", "2026-11-24", "month", Span.DAY, 37),
    ],
)
def test_unit_grows_with_the_period(first, last, unit, span, number):
    buckets = cut(first=first, last=last)

    assert (buckets.unit, buckets.span, len(buckets.items)) == (unit, span, number)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-10-04", 24),  # 23 hours and a half
        ("Australia/Lord_Howe", "2026-04-05", 25),
        ("Asia/Kathmandu", "2026-11-24", 24),
    ],
)
def test_day_has_the_hours_that_it_has(zone, day, hours):
    buckets = cut(ZoneInfo(zone), first=day, last=day)

    assert len(buckets.items) == hours
    assert buckets.items[0].start.astimezone(ZoneInfo(zone)).isoformat()[:16] == f"{day}T00:00"


def test_days_are_the_readers_also_where_clocks_are_set():
    berlin = ZoneInfo("Europe/Berlin")
    starts = [bucket.start.astimezone(berlin) for bucket in cut(berlin, first="2026-10-20", last="2026-10-30").items]

    assert [(start.day, start.hour) for start in starts] == [(day, 0) for day in range(20, 31)]


def test_weeks_begin_on_monday_and_months_on_their_first_in_utc():
    weeks = cut(ZoneInfo("Asia/Kathmandu"), first="2026-01-01", last="2026-06-30")
    months = cut(ZoneInfo("Asia/Kathmandu"), first="2020-01-15", last="2026-06-30")

    assert {bucket.start.isoweekday() for bucket in weeks.items} == {1}
    assert {bucket.start.day for bucket in months.items} == {1}
    assert {bucket.start.hour for bucket in (*weeks.items, *months.items)} == {0}
    assert months.items[0].start == datetime(2020, 1, 1, tzinfo=UTC)


def test_counts_go_to_the_piece_that_their_time_lies_in_and_add_up():
    buckets = cut(first="2026-11-24", last="2026-11-24")
    start, end = buckets.items[0].start, buckets.until
    microsecond = timedelta(microseconds=1)

    filled = buckets.filled(
        [
            (start - microsecond, 1),
            (start, 10),
            (start + timedelta(hours=1) - microsecond, 100),
            (start + timedelta(hours=1), 1000),
            (end - microsecond, 10_000),
            (end, 100_000),
        ]
    )
    again = filled.filled([(start, 5)])

    assert [bucket.count for bucket in filled.items] == [110, 1000, *[0] * 21, 10_000]
    assert (filled.most, again.most, again.items[0].count) == (10_000, 10_000, 115)
    assert [bucket.count for bucket in buckets.items] == [0] * 24, "the first ones stay as they were"


def test_most_of_nothing_is_none():
    assert cut(first="2026-11-24", last="2026-11-24").most == 0
    assert make_buckets(NOW, NOW, UTC, is_hour=False, now=NOW).most == 0


zones = st.sampled_from(sorted(zoneinfo.available_timezones())).map(ZoneInfo)


@given(zones, st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 1500))
@example(ZoneInfo("Pacific/Apia"), date(2011, 12, 29), 2)
@example(ZoneInfo("Asia/Beirut"), date(2026, 3, 28), 3)
def test_pieces_are_in_order_without_gaps_and_hold_all_of_the_period(zone, first, length):
    last = first + timedelta(days=length)
    period = parse_period({"from": f"{first}", "to": f"{last}"}, zone=zone, now=NOW)
    buckets = make_buckets(period.since, period.until, zone, is_hour=False, now=NOW)
    starts = [bucket.start for bucket in buckets.items]

    assert buckets.until == period.until
    if period.since == period.until:
        return  # a day that never was
    assert starts[0] <= period.since
    assert starts[-1] < period.until
    assert all(one <= other for one, other in pairwise(starts))
    moments = [period.since, period.until - timedelta(microseconds=1)]
    assert sum(bucket.count for bucket in buckets.filled([(moment, 1) for moment in moments]).items) == 2
    # What rollups begin with must not lie across two pieces.
    seconds = {(start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() % buckets.span for start in starts}
    assert seconds == {0}
