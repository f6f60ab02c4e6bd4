"""Crawlers by their user agents."""

from __future__ import annotations

import importlib
import logging
import sys

import pytest

from inlive_banner.channel import crawlers as crawlers_module
from inlive_banner.channel.crawlers import Crawlers
from tests.user_agent import USER_AGENT


@pytest.mark.parametrize(
    ("user_agent", "is_one"),
    [
        (USER_AGENT, False),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("python-requests/2.32.0", True),
        ("curl/8.5.0", True),
        ("", True),
        ("  ", True),
        ("\xff\xfe", False),
    ],
)
def test_crawler_is_told_by_its_user_agent(user_agent: str, is_one: bool):
    assert Crawlers().has(user_agent.encode("latin-1")) is is_one


def test_crawlers_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    monkeypatch.setattr(crawlers_module, "KNOWN_USER_AGENTS", 3)
    monkeypatch.setattr(crawlers_module, "is_crawler", lambda text: bool(asked.append(text)))
    crawlers = Crawlers()

    for _ in range(5):
        crawlers.has(b"one")
    for number in range(5):
        crawlers.has(b"%d" % number)

    assert asked == ["-", "one", "0", "1", "2", "3", "4"]
    assert crawlers.has.cache_info().currsize == 3


def test_crawlers_of_a_long_user_agent_are_looked_for_in_its_beginning(monkeypatch: pytest.MonkeyPatch):
    """The patterns' time grows with the text: a user agent of 8 KiB would hold the channel up for 20 milliseconds."""
    asked: list[str] = []
    monkeypatch.setattr(crawlers_module, "is_crawler", lambda text: bool(asked.append(text)))

    Crawlers().has(b"x" * 8000)

    assert len(asked[-1]) == crawlers_module.MAX_USER_AGENT_BYTES


def test_crawlers_without_the_package_are_not_told_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(crawlers_module, "is_crawler", None)
    with caplog.at_level(logging.WARNING):
        crawlers = Crawlers()
        assert [crawlers.has(agent) for agent in (b"Googlebot/2.1", b"curl/8", b"")] == [False, False, True]

    assert len(caplog.records) == 1
    assert "crawler-user-agents" in caplog.text


def test_package_that_is_missing_keeps_nothing_from_starting(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "crawleruseragents", None)
        try:
            assert importlib.reload(crawlers_module).is_crawler is None
        finally:
            patch.undo()
            importlib.reload(crawlers_module)
    assert crawlers_module.is_crawler is not None
