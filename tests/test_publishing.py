"""`inlive_banner.publish()`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from crawleruseragents import is_crawler
from django.core.signing import BadSignature, TimestampSigner

import inlive_banner
from inlive_banner.envelope import decode_publish, encode_json, read_interaction
from inlive_banner.exceptions import (
    ConfigurationError,
    InliveBannerError,
    InvalidPublishError,
    PublishRefusedError,
    PublishUnavailableError,
)
from inlive_banner.publishing import Outgoing, make_message, send
from tests.configured import ABSENT, configured
from tests.publish_server import RECEIVED_AT, refuse, serving


@pytest.fixture
def channel():
    with serving() as server, configured(CHANNEL_INTERNAL_URL=server.url):
        yield server


def test_publish_is_a_banners_message_with_a_service_token(channel):
    result = inlive_banner.publish("sale", "share", user_id="u-1", page="/offers/", extra={"to": "mail"})

    (received,) = channel.received
    assert received.path == "/publish/15"
    assert received.token.split(":")[0] == "15~service"
    with pytest.raises(BadSignature):
        TimestampSigner(salt="inlive_banner.page").unsign(received.token)
    request, message = decode_publish(encode_json(received.body))
    assert (request.type, request.widget_key) == ("broadcast", "test-widget-key")
    assert message["extra"] == {"to": "mail"}
    interaction = read_interaction(message)
    assert (interaction.name, interaction.action, interaction.page) == ("sale", "share", "/offers/")
    assert abs(interaction.time / 1000 - time.time()) < 60
    assert result.publish_id == received.publish_id


def test_publish_returns_what_the_channel_says(channel):
    channel.scripts.append(lambda post: post.accept(id="a1b2c3d4-7"))

    result = inlive_banner.publish("sale", publish_id="my-own-id-1")

    assert (result.publish_id, result.event_id) == ("my-own-id-1", "a1b2c3d4-7")
    assert result.received_at == datetime.fromtimestamp(RECEIVED_AT / 1000, UTC)


def test_publish_on_a_closed_stream_has_no_event_id(channel):
    assert inlive_banner.publish("sale").event_id == ""


def test_publish_passes_the_visitor_on(channel):
    inlive_banner.publish("sale", address="203.0.113.9", user_agent="Mozilla/5.0 (é\r\nX: y)")

    headers = channel.received[0].headers
    assert headers["inlive-visitor-address"] == "203.0.113.9"
    assert headers["user-agent"].startswith("Mozilla/5.0 (")
    assert "x" not in headers


def test_publish_without_a_visitor_names_the_app(channel):
    """No user agent at all passes for a crawler's, and so does the library's."""
    inlive_banner.publish("sale")

    headers = channel.received[0].headers
    assert headers["user-agent"] == "django-inlive-banner"
    assert not is_crawler(headers["user-agent"])
    assert "inlive-visitor-address" not in headers
    assert channel.received[0].body["message"]["user_id"] == ""


@pytest.mark.parametrize("stream_id", [16, "16"])
def test_publish_to_another_stream_has_that_streams_key(channel, stream_id):
    with configured(CHANNEL_INTERNAL_URL=channel.url, STREAMS={16: {"WIDGET_KEY": "key-of-16"}}):
        inlive_banner.publish("sale", stream_id=stream_id)

    (received,) = channel.received
    assert (received.path, received.body["widget_key"]) == ("/publish/16", "key-of-16")
    assert received.token.startswith("16~service:")


def test_publish_of_an_earlier_time_says_so(channel):
    inlive_banner.publish("sale", time=datetime(2026, 11, 24, 12, tzinfo=UTC))

    assert channel.received[0].body["message"]["time"] == 1_795_521_600_000


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"action": ""}, "action"),
        ({"action": "x" * 65}, "action"),
        ({"time": datetime(2026, 11, 24)}, "time"),  # noqa: DTZ001  (that it has no zone is the point)
        ({"extra": {"x": object()}}, "extra"),
        ({"extra": {"x": "\ud800"}}, "extra"),
    ],
)
def test_publish_of_what_cannot_be_published_names_the_argument(channel, arguments, argument):
    with pytest.raises(InvalidPublishError) as caught:
        inlive_banner.publish(**{"name": "sale", **arguments})

    assert caught.value.argument == argument
    assert str(caught.value).startswith(argument)
    assert channel.received == []


def test_publish_to_a_busy_channel_tries_again_with_the_same_id(channel):
    channel.scripts += [refuse(503), refuse(429), lambda post: post.answer(502, b"<html>"), lambda post: None]

    result = inlive_banner.publish("sale")

    assert len(channel.received) == 5
    assert {received.publish_id for received in channel.received} == {result.publish_id}


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_publish_that_is_refused_is_not_tried_again(channel, status):
    channel.otherwise = refuse(status, "The reason.")

    with pytest.raises(PublishRefusedError, match=f"/publish/15 answered {status}: The reason.") as caught:
        inlive_banner.publish("sale", publish_id="my-own-id-1")

    assert (caught.value.status, caught.value.publish_id) == (status, "my-own-id-1")
    assert len(channel.received) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (refuse(503, "Full."), "503: Full"),
        (refuse(401, "Bad token."), "401: Bad token"),
        (lambda post: post.hang(), "timed out"),
        (lambda post: post.answer(404, b"<html>Not here"), "CHANNEL_INTERNAL_URL"),
        (lambda post: post.answer(200, b"<html>Sign in"), "CHANNEL_INTERNAL_URL"),
        (lambda post: post.answer(200, {"code": 200, "message": "OK"}), "CHANNEL_INTERNAL_URL"),
        (lambda post: post.answer(200, []), "CHANNEL_INTERNAL_URL"),
        (lambda post: post.answer(301, b"", Location="https://example.org/"), "points to 'https://example.org/'"),
    ],
    ids=["503", "401", "hangs", "404-of-a-proxy", "200-of-a-proxy", "no-data", "no-object", "redirect"],
)
def test_publish_that_the_channel_does_not_take_is_given_up_in_time(channel, script, words):
    channel.otherwise = script
    begun = time.monotonic()

    with (
        configured(CHANNEL_INTERNAL_URL=channel.url, PUBLISH_TIMEOUT=1),
        pytest.raises(PublishUnavailableError, match=words),
    ):
        inlive_banner.publish("sale")

    assert time.monotonic() - begun < 4


def test_publish_waits_as_long_as_the_channel_asks_only_where_there_is_time(channel):
    channel.otherwise = refuse(503, Retry_After="30")
    begun = time.monotonic()

    with pytest.raises(PublishUnavailableError) as caught:
        inlive_banner.publish("sale")

    assert time.monotonic() - begun < 1
    assert caught.value.retry_after_seconds == 30
    assert len(channel.received) == 1


def test_publish_where_no_channel_is_says_where_it_looked():
    with (
        configured(CHANNEL_INTERNAL_URL="http://127.0.0.1:9", PUBLISH_TIMEOUT=0.2),
        pytest.raises(PublishUnavailableError, match=r"http://127\.0\.0\.1:9/publish/15: .*refused"),
    ):
        inlive_banner.publish("sale")


@pytest.mark.parametrize("changes", [{"STREAM_ID": ABSENT}, {"CHANNEL_INTERNAL_URL": ABSENT}])
def test_publish_without_the_settings_says_which_are_missing(changes):
    with configured(**changes), pytest.raises(ConfigurationError, match=next(iter(changes))):
        inlive_banner.publish("sale")


def test_publish_errors_are_of_one_family():
    for error in (InvalidPublishError, PublishRefusedError, PublishUnavailableError, ConfigurationError):
        assert issubclass(error, InliveBannerError)


def test_send_for_staff_says_so_in_the_token(channel):
    send(Outgoing(stream_id=15, message=make_message("sale", "click"), staff=True), timeout_seconds=2)

    assert channel.received[0].token.startswith("15~service~staff:")


def test_send_for_a_browser_without_a_user_agent_sends_none(channel):
    """Only crawlers are such, and the channel shall see it."""
    send(Outgoing(stream_id=15, message=make_message("sale", "click")), timeout_seconds=2)

    assert channel.received[0].headers["user-agent"] == ""


def test_send_passes_a_prefetch_on(channel):
    send(Outgoing(stream_id=15, message=make_message("sale", "click"), purpose="prefetch"), timeout_seconds=2)

    assert channel.received[0].headers["sec-purpose"] == "prefetch"
