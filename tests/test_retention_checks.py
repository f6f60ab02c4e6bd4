"""The system check of how long rows are kept."""

from __future__ import annotations

import pytest
from django.core import checks as django_checks
from django.test import override_settings

from inlive_banner.checks import check_settings
from inlive_banner.retention_checks import check_retention
from tests.configured import configured

DAY = 24 * 3600


def found(**changes):
    with configured(**changes):
        return check_retention()


def test_check_is_registered():
    with configured(ROWS_RETENTION=DAY):
        assert "inlive_banner.E040" in [message.id for message in django_checks.run_checks()]


@pytest.mark.parametrize("value", [0, 7 * DAY, 400.5 * DAY])
def test_retention_that_rows_can_have_is_fine(value):
    assert found(ROWS_RETENTION=value, STREAMS={15: {"ROWS_RETENTION": value}, 16: {}}) == []
    with configured(ROWS_RETENTION=value, STREAMS={15: {"ROWS_RETENTION": value}}):
        assert [message.id for message in check_settings() if message.is_serious()] == []


def test_retention_of_rows_below_the_logs_is_an_error():
    (message,) = found(RETENTION=20 * DAY, ROWS_RETENTION=19 * DAY)

    assert message.id == "inlive_banner.E040"
    assert f'INLIVE_BANNER["ROWS_RETENTION"] is {19 * DAY}, less than the 20 days' in message.msg
    assert f'"ROWS_RETENTION": {365 * DAY}' in message.hint


def test_retention_that_the_hint_shows_is_one_that_can_be_used():
    (message,) = found(RETENTION=1000 * DAY, ROWS_RETENTION=DAY)

    assert f'"ROWS_RETENTION": {1000 * DAY}' in message.hint


def test_retention_of_each_stream_is_looked_at():
    (message,) = found(STREAMS={15: {"ROWS_RETENTION": DAY}, 16: {"ROWS_RETENTION": 0}})

    assert '["STREAMS"][15]["ROWS_RETENTION"]' in message.msg


@pytest.mark.parametrize(
    "changes", [{"RETENTION": "x"}, {"ROWS_RETENTION": "x"}, {"STREAMS": [15]}, {"STREAMS": {1: 2}}]
)
def test_values_of_a_wrong_type_are_another_checks_matter(changes):
    assert found(**changes) == []


@override_settings(INLIVE_BANNER=[])
def test_settings_that_are_no_dict_are_another_checks_matter():
    assert check_retention() == []


@pytest.mark.parametrize("value", ["30", None, -1, True, float("nan")])
def test_retention_of_a_wrong_type_is_an_error(value):
    with configured(ROWS_RETENTION=value):
        assert "inlive_banner.E002" in [message.id for message in check_settings()]
    with configured(STREAMS={15: {"ROWS_RETENTION": value}}):
        assert "inlive_banner.E005" in [message.id for message in check_settings()]
