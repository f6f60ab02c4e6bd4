"""The settings, read live."""

from __future__ import annotations

import time

import pytest
from django.test import override_settings

from inlive_banner.asgi import channel_config
from inlive_banner.conf import BannerSettings, settings
from inlive_banner.exceptions import ConfigurationError, InvalidTokenError
from tests.configured import ABSENT, configured


def test_settings_are_read_at_each_access():
    with configured(WIDGET_KEY="one"):
        assert settings.WIDGET_KEY == "one"
        with configured(WIDGET_KEY="two"):
            assert settings.WIDGET_KEY == "two"
        assert settings.WIDGET_KEY == "one"


def test_settings_that_are_absent_have_their_defaults():
    with override_settings(INLIVE_BANNER={}):
        for key in BannerSettings.types():
            assert getattr(settings, key) == BannerSettings.default(key)


def test_settings_have_a_type_for_each_key():
    assert set(BannerSettings.types()) == {key for key in vars(BannerSettings) if key.isupper()}


@pytest.mark.parametrize("value", [15, "15"])
def test_stream_id_is_a_number_however_it_is_written(value):
    with configured(STREAM_ID=value):
        assert settings.stream_id == 15


@pytest.mark.parametrize("value", ["", 0, "x", None])
def test_stream_id_that_is_none_is_named_in_the_error(value):
    with configured(STREAM_ID=value), pytest.raises(ConfigurationError, match=f'STREAM_ID"].*{value!r}'):
        settings.stream_id  # noqa: B018


def test_streams_begin_with_the_default_one_and_take_its_options():
    with configured(
        WIDGET_KEY="shared",
        STREAMS={"16": {"PUBLIC": True}, 15: {"WIDGET_KEY": "own", "ALLOWED_ORIGINS": ["https://example.org"]}},
    ):
        streams = settings.streams

    assert list(streams) == [15, 16]
    assert (streams[15].widget_key, streams[15].public) == ("own", False)
    assert streams[15].allowed_origins == ("https://example.org",)
    assert (streams[16].widget_key, streams[16].public) == ("shared", True)
    assert streams[16].allowed_origins == ("*",)


def test_streams_are_closed_unless_the_site_opens_them():
    assert settings.stream(15).public is False


def test_streams_that_are_none_say_what_to_set():
    with configured(STREAM_ID=ABSENT), pytest.raises(ConfigurationError, match="STREAM_ID"):
        settings.streams  # noqa: B018


def test_streams_may_each_name_a_permission_of_their_own():
    with configured(STREAMS={"16": {"VIEW_PERMISSION": "shop.view_orders"}, 17: {}}):
        assert settings.view_permissions == {16: "shop.view_orders"}
        assert settings.view_permission(16) == "shop.view_orders"
        assert settings.view_permission(17) is settings.view_permission(15) is settings.view_permission(99) is None


def test_permission_with_a_key_that_is_no_stream_names_the_setting():
    with configured(STREAMS={"x": {"VIEW_PERMISSION": "a.b"}}), pytest.raises(ConfigurationError, match="STREAMS"):
        settings.view_permission(15)


def test_stream_that_is_unknown_names_the_known_ones():
    with configured(STREAMS={16: {}}), pytest.raises(ConfigurationError, match=r"Stream 99 .*15, 16"):
        settings.stream(99)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"CHANNEL_INTERNAL_URL": "http://10.0.0.1:8001/"}, "http://10.0.0.1:8001"),
        ({"CHANNEL_INTERNAL_URL": ABSENT, "CHANNEL_URL": "https://c.example.org/x/"}, "https://c.example.org/x"),
        ({"CHANNEL_INTERNAL_URL": ABSENT, "DEBUG": True}, "http://127.0.0.1:8001"),
        ({"CHANNEL_INTERNAL_URL": "http://a", "CHANNEL_URL": "https://b", "DEBUG": True}, "http://a"),
    ],
)
def test_internal_url_has_its_defaults(changes, expected):
    with configured(**changes):
        assert settings.channel_internal_url == expected


@pytest.mark.parametrize(
    "changes",
    [{"CHANNEL_INTERNAL_URL": ABSENT}, {"CHANNEL_INTERNAL_URL": "/channel", "DEBUG": True}],
)
def test_internal_url_that_is_a_path_says_what_to_set(changes):
    with configured(**changes), pytest.raises(ConfigurationError, match="CHANNEL_INTERNAL_URL"):
        settings.channel_internal_url  # noqa: B018


def test_channel_log_has_a_default_under_debug_only(tmp_path):
    with configured(CHANNEL_LOG=ABSENT, DEBUG=True), override_settings(BASE_DIR=tmp_path):
        assert settings.channel_log == f"sqlite:///{tmp_path}/inlive-channel.sqlite3"
    with configured(CHANNEL_LOG=ABSENT), pytest.raises(ConfigurationError, match="CHANNEL_LOG"):
        settings.channel_log  # noqa: B018


def test_channel_log_that_is_set_is_taken():
    with configured(CHANNEL_LOG="sqlite:////x.sqlite3", DEBUG=True):
        assert settings.channel_log == "sqlite:////x.sqlite3"


def test_channel_url_loses_its_last_slash():
    with configured(CHANNEL_URL="/"):
        assert settings.channel_url == ""


def test_signer_takes_the_tickets_age_from_the_settings():
    with configured(TICKET_AGE=8):
        right = settings.signer.read_ticket(15, settings.signer.make_ticket(15))

    assert 0 < right.expires_at - time.time() <= 8


def test_signer_takes_the_tokens_age_from_the_settings():
    token = settings.signer.make_page_token(15)

    with configured(TOKEN_MAX_AGE=1e-9), pytest.raises(InvalidTokenError, match="expired"):
        settings.signer.read_publish_token(15, token)


def test_channel_is_told_whom_to_believe_and_what_to_label():
    with configured(TRUSTED_PROXIES=["10.0.0.0/8"], OWN_ADDRESSES=["192.0.2.7"], IMPOSSIBLE_RATE=7, HONOUR_DNT=False):
        config = channel_config()

    assert (config.trusted_proxies, config.own_addresses) == (("10.0.0.0/8",), ("192.0.2.7",))
    assert (config.impossible_rate, config.honour_dnt) == (7, False)


def test_login_url_is_djangos():
    with override_settings(LOGIN_URL="/sign-in/"):
        assert settings.login_url == "/sign-in/"
