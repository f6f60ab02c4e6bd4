"""The tests' own way of waiting, on which many of them rely."""

from __future__ import annotations

import pytest

from tests.polling import wait_until


def test_wait_until_true_returns_the_value() -> None:
    values = iter([None, 0, "there"])

    assert wait_until(lambda: next(values)) == "there"


def test_wait_until_deadline_passed_says_what_was_awaited_and_seen() -> None:
    with pytest.raises(TimeoutError, match=r"in vain for: the moon\. Last seen: 0"):
        wait_until(lambda: 0, deadline_seconds=0, what="the moon")


def test_wait_until_error_in_the_condition_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)
