"""How old rows may become, and how old they have to be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inlive_banner.exceptions import ConfigurationError, RowsRetentionError
from inlive_banner.retention import described_days, rows_before, shortest_retention
from tests.configured import configured

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = 24 * 3600


def test_rows_without_a_retention_are_kept_for_ever():
    assert rows_before(15, now=NOW) is None
    with configured(ROWS_RETENTION=30 * DAY, STREAMS={15: {"ROWS_RETENTION": 0}}):
        assert rows_before(15, now=NOW) is None


def test_rows_may_become_as_old_as_the_setting_says():
    with configured(ROWS_RETENTION=30 * DAY):
        assert rows_before(15, now=NOW) == NOW - timedelta(days=30)


@pytest.mark.parametrize("key", [16, "16"])
def test_stream_may_have_a_retention_of_its_own(key):
    with configured(ROWS_RETENTION=30 * DAY, STREAMS={key: {"ROWS_RETENTION": 10.5 * DAY}}):
        assert rows_before(16, now=NOW) == NOW - timedelta(days=10.5)
        assert rows_before(15, now=NOW) == NOW - timedelta(days=30)
        assert rows_before(17, now=NOW) == NOW - timedelta(days=30)


def test_age_asked_for_takes_the_place_of_the_setting():
    with configured(ROWS_RETENTION=30 * DAY):
        assert rows_before(15, now=NOW, age=timedelta(days=90)) == NOW - timedelta(days=90)
    assert rows_before(15, now=NOW, age=timedelta(days=90)) == NOW - timedelta(days=90)


def test_age_below_what_the_channel_may_deliver_again_is_refused():
    with configured(RETENTION=14 * DAY):
        assert shortest_retention() == timedelta(days=14)
        with pytest.raises(RowsRetentionError, match="The age is 13 days, and must be 14 days at least"):
            rows_before(15, now=NOW, age=timedelta(days=13))
        with configured(ROWS_RETENTION=DAY), pytest.raises(RowsRetentionError, match="of stream 15 is 1 day, and"):
            rows_before(15, now=NOW)


def test_age_below_what_a_browser_may_send_again_is_refused():
    """It keeps a click for 7 days, however short the channel's log is."""
    with configured(RETENTION=3600), pytest.raises(RowsRetentionError, match="must be 7 days at least"):
        rows_before(15, now=NOW, age=timedelta(days=6))


def test_row_at_the_lowest_age_is_left_while_the_log_is_trimmed():
    with configured(RETENTION=14 * DAY):
        assert rows_before(15, now=NOW, age=timedelta(days=14)) == NOW - timedelta(days=14, hours=1)


@pytest.mark.parametrize("seconds", [float("inf"), 1e300])
def test_age_of_ages_leads_to_a_moment_that_databases_have(seconds):
    with configured(ROWS_RETENTION=seconds):
        assert rows_before(15, now=NOW) == NOW - timedelta(days=36_525)


@pytest.mark.parametrize("value", ["30", None, True, -1, float("nan")])
def test_retention_that_is_no_number_of_seconds_is_refused(value):
    with configured(ROWS_RETENTION=value), pytest.raises(RowsRetentionError, match=f"{value!r}; it must be a number"):
        rows_before(15, now=NOW)


def test_streams_with_a_bad_id_are_refused():
    with configured(STREAMS={"x": {}}), pytest.raises(ConfigurationError, match="'x'"):
        rows_before(15, now=NOW)


@pytest.mark.parametrize(("days", "expected"), [(1, "1 day"), (7, "7 days"), (0.5, "0.5 days"), (400, "400 days")])
def test_days_are_described_for_people(days, expected):
    assert described_days(timedelta(days=days)) == expected
