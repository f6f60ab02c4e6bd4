"""What subscribers are sent: init, broadcasts, private messages, answers to a request."""

from __future__ import annotations

import json
import re
import time
import uuid

import pytest

from tests.e2e.channel_server import KEY, click
from tests.e2e.wire.conftest import HISTORY_LIMIT

FENCE = "nothing else comes before this"


def read_up_to_fence(stream):
    """The events that came before the fence; it is published last."""
    *events, _ = stream.until(lambda event: event.message == FENCE)
    return [event for event in events if event.type != "system"]


def test_subscribe_answers_at_once_with_init(server, public):
    begin = time.monotonic()
    with server.subscribe(public) as stream:
        init = stream.next()
    assert init.at - begin < 1
    user_id = init.message["user_id"]
    assert str(uuid.UUID(user_id)) == user_id
    assert init.envelope == {
        "stream_id": str(public),
        "author_id": "0",
        "to_user_id": user_id,
        "message": {
            "token": init.message["token"],
            "user_id": user_id,
            "viewer_count": 1,
            "head": init.id,
        },
        "timestamp": 0,
        "type": "init",
        "widget_key": "",
    }
    assert re.fullmatch(r"[A-Za-z0-9\-_.~:=]+", init.message["token"])
    assert re.fullmatch(r"[0-9a-f]+-0", init.id)


def test_subscribe_answers_with_headers_that_nothing_on_the_way_holds_back(server, public):
    with server.subscribe(public, accept_encoding="gzip, deflate, br") as stream:
        headers = stream.headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert headers["content-encoding"] == "identity"
    assert headers["access-control-allow-origin"] == "*"


def test_subscribe_asks_each_client_to_wait_another_time_before_it_reconnects(server, public):
    times = set()
    for _ in range(8):
        with server.subscribe(public) as stream:
            stream.next("init")
            times.add(stream.retry_ms)
    assert all(500 <= retry_ms <= 10_000 for retry_ms in times)
    assert len(times) > 4


def test_idle_stream_is_kept_alive_by_comments(server, public):
    with server.subscribe(public) as stream:
        position = stream.next("init").id
        begin = time.monotonic()
        stream.wait_for_comment(within=2)
        stream.wait_for_comment(within=2)
        assert time.monotonic() - begin >= 0.4
        assert stream.position == position


def test_broadcast_reaches_everybody_and_the_sender_once(server, public):
    with server.subscribe(public) as sender, server.subscribe(public) as other:
        init = sender.next("init")
        other.next("init")
        with server.publisher(init.message["token"], public) as publisher:
            answer = publisher.publish(click(), timestamp=12.5, publish_id="the-publish-id")
            publisher.publish(FENCE)
        (to_sender,), (to_other,) = read_up_to_fence(sender), read_up_to_fence(other)
    assert (answer.code, answer.message) == (200, "OK")
    assert answer.data.keys() == {"id", "received_at"}
    assert abs(answer.data["received_at"] - time.time() * 1000) < 60_000
    assert to_sender.envelope == to_other.envelope
    assert to_sender.id == to_other.id == answer.data["id"]
    assert to_sender.envelope == {
        "stream_id": str(public),
        "author_id": init.message["user_id"],
        "to_user_id": "",
        "message": click(),
        "timestamp": 12.5,
        "type": "broadcast",
        "widget_key": KEY,
        "publish_id": "the-publish-id",
        "interaction": "click",
        **answer.data,
    }


@pytest.mark.parametrize(
    "message",
    [
        "a bare string",
        "",
        0,
        -1.5e300,
        None,
        True,
        [],
        {},
        [1, [2, {"three": None}]],
        "a\nb\r\n\u2028\x00",
        "🎈 ñ \u200fم",
    ],
    ids=repr,
)
def test_broadcast_of_any_json_arrives_as_it_was_sent(server, public, message):
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token, public) as publisher:
            publisher.publish(message)
        event = stream.next("broadcast")
    assert event.message == message
    assert event.envelope["timestamp"] == 0
    assert "interaction" not in event.envelope


def test_broadcast_of_json_on_many_lines_arrives_on_one(server, public):
    """The client fails on an event with two lines of data."""
    body = json.dumps({"type": "broadcast", "widget_key": KEY, "message": {"a": [1, {"b": "c"}]}}, indent=2)
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
        answer = server.ask(
            "POST",
            f"/publish/{public}?token={token}",
            body.replace("\n", "\r\n").encode(),
            content_type="application/json; charset=utf-8",
        )
        assert stream.next("broadcast").message == {"a": [1, {"b": "c"}]}
    assert answer.code == 200


def test_publish_that_names_a_stream_and_an_author_is_known_by_its_own(server, public):
    with server.subscribe(public) as stream:
        init = stream.next("init")
        with server.publisher(init.message["token"], public) as publisher:
            publisher.publish(stream_id="1", author_id="0", id="0123456789ab-7", received_at=1, interaction="click")
        envelope = stream.next("broadcast").envelope
    assert (envelope["stream_id"], envelope["author_id"]) == (str(public), init.message["user_id"])
    assert envelope["received_at"] > 1
    assert "interaction" not in envelope


def test_publish_again_by_the_same_publish_id_changes_nothing(server, public):
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token, public) as publisher:
            publisher.send("first", publish_id="same-publish-id")
            # Hung up before the answer: whether it was stored, only a retry can tell.
        first = stream.next("broadcast")
        with server.publisher(token, public) as publisher:
            answers = [publisher.publish("again", publish_id="same-publish-id") for _ in range(2)]
            publisher.publish(FENCE)
        assert read_up_to_fence(stream) == []
    for answer in answers:
        assert answer.code == 200
        assert answer.data == {"id": first.id, "received_at": first.envelope["received_at"]}
    assert [envelope["message"] for envelope in server.everything(public)] == ["first", FENCE]


def test_publish_without_a_publish_id_is_given_one(server, public):
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token, public) as publisher:
            publisher.publish("same")
            publisher.publish("same")
        ids = {stream.next("broadcast").envelope["publish_id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[A-Za-z0-9_-]{8,64}", publish_id) for publish_id in ids)


def test_private_message_reaches_its_user_only_and_is_not_stored(server, public):
    with server.subscribe(public) as sender, server.subscribe(public) as other, server.subscribe(public) as recipient:
        init = sender.next("init")
        other.next("init")
        user_id = recipient.next("init").message["user_id"]
        position = recipient.position
        with server.publisher(init.message["token"], public) as publisher:
            answer = publisher.publish({"psst": 1}, kind="private", to_user_id=user_id, timestamp=3)
            private = recipient.next("private")
            assert recipient.position == position
            publisher.publish(FENCE)
            assert read_up_to_fence(sender) == read_up_to_fence(other) == read_up_to_fence(recipient) == []
            publisher.publish(kind="request")
        assert [envelope["message"] for envelope in sender.next("request").message] == [FENCE]
    assert private.id == ""
    assert private.envelope == {
        "stream_id": str(public),
        "author_id": init.message["user_id"],
        "to_user_id": user_id,
        "message": {"psst": 1},
        "timestamp": 3,
        "type": "private",
        "widget_key": KEY,
        **answer.data,
    }
    assert answer.data.keys() == {"received_at"}


def test_private_message_to_nobody_is_refused(server, public):
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token, public) as publisher:
            answer = publisher.publish(kind="private", to_user_id=str(uuid.uuid4()))
    assert answer.code == 409


def test_request_is_answered_to_who_asks_with_the_stored_envelopes(server, public):
    with server.subscribe(public) as asking, server.subscribe(public) as other:
        init = asking.next("init")
        other.next("init")
        with server.publisher(init.message["token"], public) as publisher:
            assert publisher.publish(kind="request").code == 200
            assert asking.next("request").message == []
            for number in range(3):
                publisher.publish(number)
            envelopes = [asking.next("broadcast").envelope for _ in range(3)]
            publisher.publish(kind="request")
            event = asking.next("request")
            publisher.publish(FENCE)
        assert [event.type for event in read_up_to_fence(other)] == ["broadcast"] * 3
    assert event.message == envelopes
    assert event.envelope["to_user_id"] == init.message["user_id"]
    assert event.envelope["author_id"] == "0"
    assert event.id == ""


def test_request_is_answered_with_the_newest_where_there_are_many(server, public):
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token, public) as publisher:
            for number in range(HISTORY_LIMIT + 5):
                publisher.publish(number)
            publisher.publish(kind="request")
        history = stream.next("request").message
    assert [envelope["message"] for envelope in history] == list(range(5, HISTORY_LIMIT + 5))


def test_request_without_an_open_subscription_is_refused(server, public):
    with server.subscribe(public) as stream, server.subscribe(public) as other:
        token = stream.next("init").message["token"]
        other.next("init")
        stream.close()
        with server.publisher(token, public) as publisher:
            # Until the server has noticed, the answer goes to a stream that is about to end.
            codes = [publisher.publish(kind="request").code for _ in range(20)]
    assert codes[-1] == 409


def test_webhook_is_refused(server, public):
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
    with server.publisher(token, public) as publisher:
        answer = publisher.publish(kind="webhook")
    assert answer.code == 403
    assert "webhooks are not enabled on this server" in answer.message.lower()
