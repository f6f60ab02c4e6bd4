"""Where the bars of a chart stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.buckets import Bucket, Buckets, make_buckets
from inlive_banner.chart import BAR_STEP, HEIGHT, make_chart, round_up
from inlive_banner.models import Span

START = datetime(2026, 11, 24, tzinfo=UTC)


def buckets_of(*counts, unit="hour", zone=UTC):
    items = tuple(Bucket(start=START + timedelta(hours=hour), count=count) for hour, count in enumerate(counts))
    until = START + timedelta(hours=len(counts))
    return Buckets(unit=unit, span=Span.QUARTER, zone=zone, items=items, until=until)


def test_bars_stand_side_by_side_on_the_ground_as_high_as_their_counts():
    chart = make_chart(buckets_of(0, 3, 40))

    assert (chart.top, chart.width, chart.total) == (40, 3 * BAR_STEP, 43)
    assert [bar.count for bar in chart.bars] == [0, 3, 40]
    assert [bar.height for bar in chart.bars] == [0, 7.5, HEIGHT]
    assert all(bar.y + bar.height == HEIGHT for bar in chart.bars)
    for number, bar in enumerate(chart.bars):
        assert number * BAR_STEP < bar.x < bar.x + bar.width < (number + 1) * BAR_STEP


def test_bars_know_their_time_in_milliseconds():
    chart = make_chart(buckets_of(1, 2))

    start = int(START.timestamp()) * 1000
    assert [bar.start_ms for bar in chart.bars] == [start, start + 3_600_000]
    assert chart.until_ms == start + 7_200_000


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        ("minute", "5:45 a.m."),
        ("hour", "5:45 a.m."),
        ("day", "November 24"),
        ("week", "Nov. 24, 2026"),
        ("month", "November 2026"),
    ],
)
def test_bars_are_named_in_the_readers_zone_as_their_unit_needs(unit, label):
    assert make_chart(buckets_of(1, unit=unit, zone=ZoneInfo("Asia/Kathmandu"))).bars[0].label == label


def test_bars_are_named_in_the_readers_language():
    with translation.override("de"):
        assert make_chart(buckets_of(1, unit="month")).bars[0].label == "November 2026"
        assert make_chart(buckets_of(1, unit="day")).bars[0].label == "24. November"


@pytest.mark.parametrize(("number", "named"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (24, [0, 11, 23]), (0, [])])
def test_first_middle_and_last_bar_are_named(number, named):
    chart = make_chart(buckets_of(*range(number)))

    assert chart.ticks == [chart.bars[index] for index in named]


def test_chart_of_no_time_is_empty():
    chart = make_chart(make_buckets(START, START, UTC, is_hour=False, now=START))

    assert (chart.bars, chart.width, chart.total, chart.ticks) == ((), 0, 0, [])


@pytest.mark.parametrize(
    ("count", "top"), [(0, 4), (1, 4), (4, 4), (5, 5), (7, 8), (9, 10), (11, 20), (60, 60), (61, 80), (801, 1000)]
)
def test_top_is_the_next_round_number(count, top):
    assert round_up(count) == top


@given(st.integers(0, 2**63))
def test_top_is_never_below_the_count_nor_far_above(count):
    top = round_up(count)

    assert count <= top <= max(2 * count, 4)
    assert len(str(top).rstrip("0")) == 1
    assert round_up(top) == top


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_bars_never_leave_the_drawing(counts):
    for bar in make_chart(buckets_of(*counts)).bars:
        assert 0 <= bar.y <= HEIGHT
        assert 0 <= bar.height <= HEIGHT
