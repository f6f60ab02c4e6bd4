"""The system checks of the settings."""

from __future__ import annotations

import re

import pytest
from django.core import checks as django_checks
from django.test import override_settings

from inlive_banner.checks import check_settings
from tests.configured import ABSENT, configured

GOOD = {
    "STREAM_ID": 15,
    "WIDGET_KEY": "a-key-of-our-own",
    "CHANNEL_URL": "/channel",
    "CHANNEL_INTERNAL_URL": "http://127.0.0.1:8001",
}


def found(*, DEBUG=False, **changes):  # noqa: N803  (a setting's name)
    """The messages for good settings with some keys changed."""
    with configured(DEBUG=DEBUG, **{**GOOD, **changes}):
        messages = check_settings()
    for message in messages:
        assert message.hint, message
        assert re.fullmatch(r"inlive_banner\.[EW][0-9]{3}", message.id)
        assert (message.id[14] == "E") == isinstance(message, django_checks.Error)
    return messages


def ids(**changes):
    return [message.id.removeprefix("inlive_banner.") for message in found(**changes)]


def only(**changes):
    (message,) = found(**changes)
    return message.id.removeprefix("inlive_banner."), message.msg, message.hint


@pytest.fixture(autouse=True)
def log_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(GOOD, "CHANNEL_LOG", f"sqlite:///{tmp_path / 'channel.sqlite3'}")


def test_good_settings_have_no_messages():
    assert found() == []
    assert found(DEBUG=True, CHANNEL_LOG=ABSENT, CHANNEL_INTERNAL_URL=ABSENT, STREAM_ID="15") == []


def test_checks_are_registered_and_their_ids_differ():
    with configured(WIDGET_KEY=""):
        assert "inlive_banner.E003" in [message.id for message in django_checks.run_checks()]


@pytest.mark.parametrize("value", [[], "x", 15])
def test_settings_that_are_no_dict_are_an_error(value):
    with override_settings(INLIVE_BANNER=value):
        (message,) = check_settings()
    assert message.id == "inlive_banner.E001"
    assert "INLIVE_BANNER = {" in message.hint


def test_no_settings_at_all_name_what_is_missing(settings):
    del settings.INLIVE_BANNER
    assert [message.id[14:] for message in check_settings()] == ["E004", "E008", "W003"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("WIDGET_KEY", 15),
        ("WIDGET_KEY", None),
        ("STREAM_ID", 1.5),
        ("STREAM_ID", True),
        ("CHANNEL_URL", None),
        ("CHANNEL_INTERNAL_URL", 1),
        ("CHANNEL_LOG", b"sqlite:///x"),
        ("LOGS_PUBLIC", "yes"),
        ("LOGS_PUBLIC", 1),
        ("BANNER", "x"),
        ("STREAMS", [15]),
        ("TOKEN_MAX_AGE", "60"),
        ("TOKEN_MAX_AGE", 0),
        ("TICKET_AGE", -1),
        ("TICKET_AGE", float("nan")),
        ("RETENTION", True),
        ("HISTORY_LIMIT", 1.5),
        ("HISTORY_LIMIT", 0),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
        ("OWN_ADDRESSES", {"10.0.0.1"}),
        ("IMPOSSIBLE_RATE", -1),
        ("IMPOSSIBLE_RATE", False),
        ("HONOUR_DNT", 1),
        ("TRACK_VIEWS", 1),
        ("CONSENT", "yes"),
        ("LABEL_STAFF", "no"),
        ("REDIRECT_HOSTS", "example.org"),
        ("REDIRECT_HOSTS", {"example.org"}),
        ("PUBLISH_TIMEOUT", 0),
    ],
)
def test_value_of_the_wrong_type_is_an_error(key, value):
    id_, message, hint = only(**{key: value})

    assert id_ == "E002"
    assert f'INLIVE_BANNER["{key}"] is {value!r}' in message
    assert f'"{key}": ' in hint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TOKEN_MAX_AGE", 60),
        ("TICKET_AGE", 0.5),
        ("LOGS_PUBLIC", True),
        ("IMPOSSIBLE_RATE", 0),
        ("TRUSTED_PROXIES", ["10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120"]),
        ("OWN_ADDRESSES", ("192.0.2.7",)),
        ("REDIRECT_HOSTS", ["a"]),
        ("REDIRECT_HOSTS", ("a",)),
    ],
)
def test_value_of_the_right_type_is_fine(key, value):
    assert ids(**{key: value}) == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("WIDGETKEY", 'Did you mean "WIDGET_KEY"?'),
        ("stream_id", 'Did you mean "STREAM_ID"?'),
        ("SOMETHING_ELSE_ENTIRELY", "Known are: WIDGET_KEY, STREAM_ID"),
    ],
)
def test_unknown_key_is_a_warning_that_names_the_likely_one(key, hint):
    id_, message, shown = only(**{key: 1})

    assert id_ == "W001"
    assert repr(key) in message
    assert hint in shown


def test_missing_widget_key_is_an_error_whose_hint_has_a_new_one():
    id_, message, hint = only(WIDGET_KEY=ABSENT)

    assert id_ == "E003"
    assert "Stream 15" in message
    assert re.search(r'"WIDGET_KEY": "[\w-]{20,}"', hint)


def test_widget_key_of_each_stream_is_looked_at():
    assert ids(WIDGET_KEY="", STREAMS={15: {"WIDGET_KEY": "a"}, 16: {}}) == ["E003"]
    assert ids(WIDGET_KEY="", STREAMS={15: {"WIDGET_KEY": "a"}, 16: {"WIDGET_KEY": "b"}}) == []


def test_demo_widget_key_is_a_warning_outside_debug():
    assert ids(WIDGET_KEY="demo-widget-key") == ["W002"]
    assert ids(WIDGET_KEY="demo-widget-key", DEBUG=True) == []


@pytest.mark.parametrize("value", [ABSENT, "", "0", 0, -1, "fifteen", "1" * 17, "015"])
def test_missing_or_bad_stream_id_is_an_error(value):
    id_, message, hint = only(STREAM_ID=value)

    assert id_ == "E004"
    assert "STREAM_ID" in message
    assert '"STREAM_ID": 15' in hint


def test_streams_may_stand_without_a_default_one():
    assert ids(STREAM_ID=ABSENT, STREAMS={16: {}}) == []


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        ({"x": {}}, "isn't a stream id"),
        ({16: "x"}, "must be a dict"),
        ({16: {"PUBIC": True}}, "'PUBIC', which means nothing"),
        ({16: {"PUBLIC": "yes"}}, "must be True or False"),
        ({16: {"WIDGET_KEY": 1}}, "must be a text"),
        ({16: {"ALLOWED_ORIGINS": "https://example.org"}}, "must be a list"),
        ({16: {"ALLOWED_ORIGINS": ["example.org"]}}, "'example.org', which no browser sends"),
        ({16: {"ALLOWED_ORIGINS": ["https://example.org/"]}}, "no browser sends"),
        ({16: {"ALLOWED_ORIGINS": ["https://Example.org"]}}, "no browser sends"),
        ({16: {"ALLOWED_ORIGINS": [None]}}, "no browser sends"),
        ({16: {"VIEW_PERMISSION": None}}, "must be a text"),
    ],
)
def test_bad_streams_are_an_error(streams, words):
    id_, message, hint = only(STREAMS=streams)

    assert id_ == "E005"
    assert words in message
    assert '"STREAMS": {' in hint


@pytest.mark.parametrize("origins", [["*"], ["https://example.org", "http://localhost:8000"], ("https://[::1]:8000",)])
def test_allowed_origins_that_browsers_send_are_fine(origins):
    assert ids(STREAMS={15: {"ALLOWED_ORIGINS": origins}}) == []


def test_permission_of_a_stream_is_one_of_its_options():
    assert ids(STREAMS={15: {"VIEW_PERMISSION": "shop.view_orders"}}) == []


@pytest.mark.parametrize("url", ["/channel", "/", "/a/b/", "https://channel.example.org", "http://[::1]:8001/x"])
def test_channel_url_for_browsers_is_fine(url):
    assert ids(CHANNEL_URL=url) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "channel",
        "//example.org/channel",
        "ws://example.org",
        "https://",
        "/a?b",
        "/a b",
        "https://a/?b",
        "http://a:x",
    ],
)
def test_channel_url_that_no_browser_can_use_is_an_error(url):
    id_, message, hint = only(CHANNEL_URL=url)

    assert id_ == "E006"
    assert repr(url) in message
    assert '"CHANNEL_URL": "/channel"' in hint


@pytest.mark.parametrize("url", ["/channel", "127.0.0.1:8001", "ftp://x", "http://", "http://a:99999"])
@pytest.mark.parametrize("debug", [True, False])
def test_internal_url_that_is_not_absolute_is_an_error(url, debug):
    id_, message, hint = only(CHANNEL_INTERNAL_URL=url, DEBUG=debug)

    assert id_ == "E007"
    assert repr(url) in message
    assert '"CHANNEL_INTERNAL_URL": "http://127.0.0.1:8001"' in hint


def test_internal_url_may_be_missing_under_debug_or_with_an_absolute_channel_url():
    assert ids(CHANNEL_INTERNAL_URL=ABSENT, DEBUG=True) == []
    assert ids(CHANNEL_INTERNAL_URL=ABSENT, CHANNEL_URL="https://channel.example.org") == []
    assert ids(CHANNEL_INTERNAL_URL=ABSENT) == ["E008"]


def test_missing_log_is_a_warning_outside_debug_that_says_how_to_silence_it():
    id_, _, hint = only(CHANNEL_LOG=ABSENT)

    assert id_ == "W003"
    assert '"CHANNEL_LOG": "sqlite:////' in hint
    assert 'SILENCED_SYSTEM_CHECKS = ["inlive_banner.W003"]' in hint
    assert ids(CHANNEL_LOG=ABSENT, DEBUG=True) == []


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_log_on_an_engine_is_the_engines_own_to_judge(scheme):
    assert ids(CHANNEL_LOG=f"{scheme}://127.0.0.1:6379/0") == []


@pytest.mark.parametrize("url", ["memcached://127.0.0.1", "postgres://x", "sqlite://", "sqlite:///", "/var/log.db"])
def test_log_of_another_kind_is_an_error(url):
    id_, message, hint = only(CHANNEL_LOG=url)

    assert id_ == "E009"
    assert "it can be sqlite:/// and a path, or redis:// and a host" in message
    assert "sqlite:////" in hint


def test_log_in_a_missing_folder_is_a_warning_with_the_command_that_makes_it(tmp_path):
    id_, message, hint = only(CHANNEL_LOG=f"sqlite:///{tmp_path}/no/such/channel.sqlite3")

    assert id_ == "W004"
    assert "there is no folder" in message
    assert hint == f"mkdir -p {tmp_path}/no/such"


def test_relative_log_is_looked_for_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ids(CHANNEL_LOG="sqlite:///channel.sqlite3") == []
    assert ids(CHANNEL_LOG="sqlite:///logs/channel.sqlite3") == ["W004"]


@pytest.mark.parametrize(
    ("banner", "words", "hint"),
    [
        ({"Name": "x"}, "'Name', which means nothing", 'Did you mean "name"?'),
        ({"href": "javascript:x"}, "refused", 'set "href"'),
        ({"image": "/x.png"}, "alt is missing", 'set "alt"'),
        ({"name": ""}, "name is empty", 'set "name"'),
        ({"target": "_new"}, "_blank", 'set "target"'),
        ({"width": "12em", "image": "/x.png", "alt": "x", "height": 1}, "whole number", 'set "width"'),
        ({"redirect": "yes"}, "without quotes", 'set "redirect"'),
        ({"redirect": True, "href": "mailto:a@example.org"}, "Leave redirect out", 'set "href"'),
    ],
)
def test_banner_defaults_that_cannot_be_used_are_an_error(banner, words, hint):
    id_, message, shown = only(BANNER=banner)

    assert id_ == "E010"
    assert words in message
    assert hint in shown


def test_banner_defaults_that_can_be_used_are_fine():
    assert ids(BANNER={"name": "sale", "href": "/sale/", "image": "/x.png", "alt": "Sale", "target": ""}) == []


@pytest.mark.parametrize(("key", "expected"), [("TRUSTED_PROXIES", "E020"), ("OWN_ADDRESSES", "E021")])
@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "", 7, b"10.0.0.1", None, "1.2.3.4.5"])
def test_address_that_is_none_is_an_error(key, expected, text):
    id_, message, hint = only(**{key: ["192.0.2.1", text]})

    assert id_ == expected
    assert repr(text) in message
    assert "10.0.0.0/8" in hint


@pytest.mark.parametrize("key", ["TRUSTED_PROXIES", "OWN_ADDRESSES"])
@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_network_of_all_addresses_is_a_warning(key, text):
    assert ids(**{key: [text]}) == ["W020"]
