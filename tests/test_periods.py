"""Periods of time in the reader's zone."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inlive_banner.periods import PERIOD_WORDS, Period, parse_period, parse_zone

NOW = datetime(2026, 11, 24, 12, 7, 30, 123456, tzinfo=UTC)
KATHMANDU, BERLIN = ZoneInfo("Asia/Kathmandu"), ZoneInfo("Europe/Berlin")


def parse(zone=UTC, now=NOW, **params):
    if "from_" in params:
        params["from"] = params.pop("from_")
    return parse_period(params, zone=zone, now=now)


def utc(*numbers):
    return datetime(*numbers, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "since", "until", "before"),
    [
        ("today", utc(2026, 11, 24), utc(2026, 11, 25), utc(2026, 11, 23)),
        ("yesterday", utc(2026, 11, 23), utc(2026, 11, 24), utc(2026, 11, 22)),
        ("7d", utc(2026, 11, 18), utc(2026, 11, 25), utc(2026, 11, 11)),
        ("30d", utc(2026, 10, 26), utc(2026, 11, 25), utc(2026, 9, 26)),
    ],
)
def test_period_of_days_ends_with_a_day_and_follows_one_as_long(key, since, until, before):
    period = parse(period=key)

    assert (period.key, period.since, period.until, period.before) == (key, since, until, (before, since))
    assert (period.first_day, period.last_day) == (since.date(), (until - timedelta(days=1)).date())
    assert period.params() == {"period": key}
    assert period.words == PERIOD_WORDS[key]


def test_days_before_are_as_many_also_where_clocks_were_set_meanwhile():
    period = parse(BERLIN, utc(2026, 10, 26, 12), period="today")

    assert (period.since, period.until) == (utc(2026, 10, 25, 23), utc(2026, 10, 26, 23))
    assert period.before == (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23))


def test_last_hour_has_sixty_minutes_with_the_present_one_and_goes_on():
    period = parse(period="hour")

    assert period.since == utc(2026, 11, 24, 11, 8)
    assert period.until >= NOW + timedelta(hours=1)
    assert period.before == (utc(2026, 11, 24, 10, 8), utc(2026, 11, 24, 11, 8))
    assert (period.first_day, period.last_day) == (None, None)


def test_all_time_has_no_ends():
    assert parse() == parse(period="") == Period()
    assert (Period().since_ms, Period().until_ms, Period().params()) == (None, None, {})
    assert not Period().is_over(NOW)


@pytest.mark.parametrize(
    ("zone", "now", "since", "until"),
    [
        ("Asia/Kathmandu", utc(2026, 11, 24, 18, 14), utc(2026, 11, 23, 18, 15), utc(2026, 11, 24, 18, 15)),
        ("Asia/Kathmandu", utc(2026, 11, 24, 18, 15), utc(2026, 11, 24, 18, 15), utc(2026, 11, 25, 18, 15)),
        ("Asia/Kolkata", utc(2026, 11, 24, 12), utc(2026, 11, 23, 18, 30), utc(2026, 11, 24, 18, 30)),
        ("Pacific/Kiritimati", utc(2026, 11, 24, 12), utc(2026, 11, 24, 10), utc(2026, 11, 25, 10)),
        ("America/New_York", utc(2026, 11, 24, 4, 59), utc(2026, 11, 23, 5), utc(2026, 11, 24, 5)),
        # Days on which clocks are set: forward and back in Berlin, by half an hour on Lord Howe, at midnight in Beirut.
        ("Europe/Berlin", utc(2026, 3, 29, 12), utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        ("Europe/Berlin", utc(2026, 10, 25, 12), utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
        ("Australia/Lord_Howe", utc(2026, 4, 5), utc(2026, 4, 4, 13), utc(2026, 4, 5, 13, 30)),
        ("Asia/Beirut", utc(2026, 3, 29, 12), utc(2026, 3, 28, 22), utc(2026, 3, 29, 21)),
        ("America/Havana", utc(2026, 11, 1, 12), utc(2026, 11, 1, 4), utc(2026, 11, 2, 5)),
    ],
)
def test_today_is_the_readers(zone, now, since, until):
    period = parse(ZoneInfo(zone), now, period="today")

    assert (period.since, period.until) == (since, until)


@pytest.mark.parametrize(
    ("params", "first", "last"),
    [
        ({"from_": "2026-11-01", "to": "2026-11-03"}, date(2026, 11, 1), date(2026, 11, 3)),
        ({"from_": "2026-11-03", "to": "2026-11-01"}, date(2026, 11, 1), date(2026, 11, 3)),
        ({"from_": "2026-11-03"}, date(2026, 11, 3), date(2026, 11, 3)),
        ({"to": "2026-11-03"}, date(2026, 11, 3), date(2026, 11, 3)),
        ({"from_": "x", "to": "2026-11-03"}, date(2026, 11, 3), date(2026, 11, 3)),
        ({"period": "7d", "from_": "2024-02-29"}, date(2024, 2, 29), date(2024, 2, 29)),
        ({"from_": "1990-01-01", "to": "2900-01-01"}, date(1990, 1, 1), date(2900, 1, 1)),
    ],
)
def test_custom_period_has_both_of_its_days(params, first, last):
    period = parse(BERLIN, **params)

    assert (period.key, period.first_day, period.last_day) == ("custom", first, last)
    assert period.since.astimezone(BERLIN).date() == first
    assert (period.until - timedelta(microseconds=1)).astimezone(BERLIN).date() == last
    assert period.params() == {"period": "custom", "from": f"{first}", "to": f"{last}"}


@pytest.mark.parametrize(
    "params",
    [
        {"period": "custom"},
        {"period": "x"},
        {"period": "HOUR"},
        {"period": "7d\0"},
        {"from_": "", "to": ""},
        {"from_": "2026-02-29"},
        {"from_": "2026-13-01"},
        {"from_": "0000-01-01"},
        {"from_": "1989-12-31"},
        {"from_": "2900-01-02"},
        {"from_": "9999-12-31"},
        {"from_": "2026-1-1"},
        {"from_": "20260101"},
        {"from_": "2026-W01-1"},
        {"from_": "2026-01-01T00:00"},
        {"from_": " 2026-01-01"},
        {"from_": "2026-01-01\n"},
        {"from_": "\u0662026-01-01"},
    ],
)
def test_period_that_cant_be_meant_is_everything(params):
    assert parse(**params) == Period()


@pytest.mark.parametrize(("name", "expected"), [("Europe/Berlin", BERLIN), ("UTC", ZoneInfo("UTC"))])
def test_zone_is_known_by_its_name(name, expected):
    assert parse_zone(name, KATHMANDU) == expected


@pytest.mark.parametrize("name", ["Etc/GMT+12", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"])
def test_zone_of_an_unusual_name_is_known(name):
    assert parse_zone(name, KATHMANDU) == ZoneInfo(name)


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "Nowhere",
        "No/Such_Zone",
        "Europe",
        "europe/",
        "/etc/passwd",
        "../UTC",
        "Europe/../UTC",
        "leapseconds",
        "__init__",
        "a" * 5000,
        "UTC\0",
        "UTC\n",
        "Zürich",
        "zone.tab",
        "+",
    ],
)
def test_zone_that_is_none_is_the_default(name):
    assert parse_zone(name, KATHMANDU) is KATHMANDU


zones = st.sampled_from(sorted(zoneinfo.available_timezones())).map(ZoneInfo)
nows = st.datetimes(datetime(1991, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(zones, nows, st.sampled_from(sorted({*PERIOD_WORDS} - {"custom"})))
@example(ZoneInfo("Pacific/Apia"), utc(2011, 12, 30, 12), "yesterday")
@example(ZoneInfo("Asia/Beirut"), utc(2026, 3, 28, 22), "today")
def test_period_joins_the_one_before_and_lies_where_counts_begin(zone, now, key):
    period = parse(zone, now, period=key)
    if not key:
        return
    begin, end = period.before

    assert begin <= end == period.since <= period.until
    step = timedelta(minutes=1 if key == "hour" else 15)
    for moment in (begin, period.since, period.until):
        assert moment.tzinfo is UTC
        assert (moment - utc(1970, 1, 1)) % step == timedelta()
    if key == "yesterday":
        assert period.is_over(now)
        assert period.until == parse(zone, now, period="today").since
    else:
        assert period.since <= now < period.until
        assert not period.is_over(now)
    assert period.since_ms == period.since.timestamp() * 1000
    assert parse_period(period.params(), zone=zone, now=now) == period


days = st.dates(date(1990, 1, 1), date(2900, 1, 1))


@given(zones, days, days)
@example(ZoneInfo("Pacific/Apia"), date(2011, 12, 30), date(2011, 12, 30))
def test_custom_period_survives_its_address_and_is_the_same_the_wrong_way_round(zone, one, other):
    period = parse(zone, from_=f"{one}", to=f"{other}")

    assert period == parse(zone, from_=f"{other}", to=f"{one}") == parse_period(period.params(), zone=zone, now=NOW)
    assert (period.first_day, period.last_day) == (min(one, other), max(one, other))
    assert period.before[0] <= period.before[1] == period.since <= period.until


@given(zones, st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_each_day_begins_where_the_one_before_ends(zone, day):
    today, tomorrow = (parse(zone, from_=f"{when}") for when in (day, day + timedelta(days=1)))

    assert today.until == tomorrow.since
    assert tomorrow.before == (today.since, today.until)


def test_end_belongs_to_no_period():
    period = parse(period="yesterday")

    assert period.is_over(period.until)
    assert not period.is_over(period.until - timedelta(microseconds=1))
