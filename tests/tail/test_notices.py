from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from inlive_banner.tail.notices import Notices
from inlive_banner.tail.sink import Report
from tests.tail.making import make_event


def make_report(*, lag_seconds: float | None = None, lost: int = 0) -> Report:
    received_at = None if lag_seconds is None else timezone.now() - timedelta(seconds=lag_seconds)
    return Report(
        stream_id=15,
        inserted=1,
        views=0,
        duplicates=0,
        passed_over=0,
        malformed=0,
        lost=lost,
        position="0123456789abcdef-1",
        received_at=received_at,
    )


def test_malformed_events_are_told_once_per_kind_with_a_shortened_sample(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "inlive_banner")
    notices = Notices(15, retention_seconds=100)

    for value in ("noon" * 1000, "midnight", "dawn"):
        notices.malformed(make_event(message={"time": value, "name": "secret"}))
    notices.malformed(make_event(message={"user_id": ""}))

    first, second = (record.getMessage() for record in caplog.records)
    assert "its time isn't a number" in first
    assert "it has no user id" in second
    assert len(first) < 400
    assert "secret" not in first


def test_malformed_event_is_told_whole_at_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "inlive_banner")

    Notices(15, retention_seconds=100).malformed(make_event(message={"time": "noon", "name": "whole"}))

    assert [record.levelname for record in caplog.records if "whole" in record.getMessage()] == ["DEBUG"]


def test_lag_of_half_the_retention_is_warned_of_once_until_it_was_made_up(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(15, retention_seconds=100)

    told = []
    for lag in (49, 51, 60, None, 70, 10, 55):
        notices.batch(make_report(lag_seconds=lag))
        told.append(len(caplog.records))

    assert told == [0, 1, 1, 1, 1, 1, 2]
    assert "behind by more than half" in caplog.text


def test_lost_events_are_warned_of_each_time(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(15, retention_seconds=100)

    notices.batch(make_report(lost=2))
    notices.batch(make_report(lost=3))

    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
