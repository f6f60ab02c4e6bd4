"""Publishing: what is taken, what is refused and why, and whom it reaches."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.channel.driver import (
    ABSENT,
    BODY,
    CLOSED,
    PUBLIC,
    SIGNER,
    USER_ID,
    WIDGET_KEY,
    open_channel,
    run,
)
from tests.strategies import json_values

CLICK = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "visitor", "time": 1}


def test_publish_broadcast_reaches_all_readers_the_sender_too_as_an_envelope(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            sender, other = [await channel.subscribe().started() for _ in range(2)]
            before = time.time_ns() // 10**6
            answer = await channel.publish({"a": [1]}, token=sender.token, timestamp=1.5, publish_id="publish-id")
            after = time.time_ns() // 10**6
            for reader in (sender, other):
                (event,) = await reader.count("broadcast", 1)
                assert before <= event.envelope.pop("received_at") == answer.data["received_at"] <= after
                assert event.id == event.envelope.pop("id") == answer.data["id"]
                assert event.envelope == {
                    "stream_id": "15",
                    "author_id": sender.user_id,
                    "to_user_id": "",
                    "message": {"a": [1]},
                    "timestamp": 1.5,
                    "type": "broadcast",
                    "widget_key": WIDGET_KEY,
                    "publish_id": "publish-id",
                }
            assert answer.json["code"] == 200
            assert answer.json["message"] == "OK"

    run(main())


def test_publish_ignores_stream_and_author_of_the_body(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await channel.publish(1, stream_id=PUBLIC, author_id="0", id="x-1", received_at=1, interaction="click")
            body = {"type": "broadcast", "widget_key": WIDGET_KEY, "message": 2, "stream_id": 99, "author_id": 7}
            assert (await channel.post(json.dumps(body).encode())).status == 200
            for event in await reader.count("broadcast", 2):
                assert event.envelope["stream_id"] == "15"
                assert event.envelope["author_id"] == USER_ID
                assert event.envelope["id"] == event.id
                assert event.envelope["received_at"] > 1
                assert "interaction" not in event.envelope

    run(main())


def test_publish_without_timestamp_or_publish_id_gets_them(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await channel.publish(1)
            await channel.publish(2)
            events = await reader.count("broadcast", 2)
            assert [event.envelope["timestamp"] for event in events] == [0, 0]
            ids = {event.envelope["publish_id"] for event in events}
            assert len(ids) == 2
            assert all(8 <= len(publish_id) <= 64 for publish_id in ids)

    run(main())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(json_values(), st.sampled_from([None, 2]), st.booleans()), min_size=1, max_size=5))
def test_publish_of_any_json_arrives_unchanged_on_one_line(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[Any, int | None, bool]]
):
    """Pretty-printed or not, escaped or not: an event's data is always one line, live and in the history."""

    async def main() -> None:
        async with open_channel(tmp_path_factory.mktemp("log")) as channel:
            reader = await channel.subscribe().started()
            for message, indent, ascii_only in messages:
                body = {"type": "broadcast", "widget_key": WIDGET_KEY, "message": message}
                text = json.dumps(body, indent=indent, ensure_ascii=ascii_only)
                assert (await channel.post(text.replace("\n", "\r\n").encode())).status == 200
            events = await reader.count("broadcast", len(messages))
            assert [event.message for event in events] == [message for message, _, _ in messages]
            await channel.publish(type="request", token=reader.token)
            (history,) = await reader.count("request", 1)
            assert [item["message"] for item in history.message] == [message for message, _, _ in messages]
            assert b"\r" not in reader.raw

    run(main())


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"click!",
    "an array": b"[]",
    "two values": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf" + (BODY % 1).encode(),
    "invalid UTF-8": BODY.replace("%s", '"').encode() + b'\xff"}',
    "NaN": (BODY % "NaN").encode(),
    "Infinity": (BODY % "[-Infinity]").encode(),
    "number out of range": (BODY % "1e999").encode(),
    "lone surrogate escaped": (BODY % '"\\ud800"').encode(),
    "lone surrogate in a name": (BODY % '{"\\udc00": 1}').encode(),
    "lone surrogate raw": BODY.replace("%s", '"').encode() + b'\xed\xa0\x80"}',
    "control character": (BODY % '"a\nb"').encode(),
    "NUL": (BODY % '"a\0b"').encode(),
    "deep nesting": (BODY % ("[" * 5000 + "]" * 5000)).encode(),
    "deep nesting of objects": (BODY % ('{"a":' * 2500 + "1" + "}" * 2500)).encode(),
    "number of 5000 digits": (BODY % ("9" * 5000)).encode(),
    "trailing comma": (BODY % "[1,]").encode(),
    "comment": (BODY % "1 /* one */").encode(),
    "single quotes": (BODY % "'a'").encode(),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_publish_of_a_malformed_body_is_a_400_and_stores_nothing(tmp_path: Path, body: bytes):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.post(body)
            assert (answer.status, answer.json["code"]) == (400, 400)
            assert len(answer.json["message"]) > 20
            assert channel.stream.bounds.head == 0

    run(main())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", ABSENT), ("type", "click"), ("type", ""), ("type", 1), ("type", None), ("type", "init"),
        ("type", "system"),
        ("widget_key", ABSENT), ("widget_key", ""), ("widget_key", 5), ("widget_key", None),
        ("message", ABSENT),
        ("timestamp", "0"), ("timestamp", True), ("timestamp", None), ("timestamp", [0]),
        ("publish_id", "short"), ("publish_id", "x" * 65), ("publish_id", "with space"), ("publish_id", "new\nline1"),
        ("publish_id", "umlaut-\u00e4\u00e4\u00e4"), ("publish_id", 12345678), ("publish_id", "12345678\n"),
    ],
)  # fmt: skip
def test_publish_of_an_invalid_field_is_a_400_that_names_it(tmp_path: Path, field: str, value: Any):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.publish(**{field: value})
            assert answer.status == 400
            assert field in answer.json["message"]
            assert channel.stream.bounds.head == 0

    run(main())


@pytest.mark.parametrize("message", ["text", "", 0, False, None, [], {}, 1.5, "a\u2028b\r\nc"], ids=repr)
def test_publish_of_any_kind_of_message_is_taken(tmp_path: Path, message: object):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            assert (await channel.publish(message)).status == 200
            (event,) = await reader.count("broadcast", 1)
            assert event.message == message

    run(main())


def test_publish_with_duplicate_keys_means_the_last_one_everywhere(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            message = '{"type":"x","type":"banner","action":"click","user_id":"u","time":1}'
            assert (await channel.post((BODY % message).encode())).status == 200
            (event,) = await reader.count("broadcast", 1)
            assert event.message["type"] == "banner"
            assert event.envelope["interaction"] == "click"

    run(main())


@pytest.mark.parametrize(
    ("change", "interaction"),
    [
        ({}, "click"),
        ({"action": "hover"}, "hover"),
        ({"user_id": ""}, None),
        ({"time": "1"}, None),
        ({"type": "x"}, None),
    ],
)
def test_publish_decides_what_is_an_interaction(tmp_path: Path, change: dict[str, object], interaction: str | None):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await channel.publish(CLICK | change)
            (event,) = await reader.count("broadcast", 1)
            assert event.envelope.get("interaction") == interaction

    run(main())


def test_publish_webhook_is_refused(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.publish(type="webhook")
            assert answer.status == 403
            assert answer.json["message"].lower().startswith("webhooks are not enabled on this server")

    run(main())


def test_publish_with_a_wrong_widget_key_is_refused(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            assert (await channel.publish(widget_key="other")).status == 403
            assert channel.stream.bounds.head == 0

    run(main())


def test_publish_private_reaches_its_recipient_only_and_is_not_stored(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            sender, recipient, other = [await channel.subscribe().started() for _ in range(3)]
            answer = await channel.publish({"b": 1}, type="private", to_user_id=recipient.user_id, token=sender.token)
            assert set(answer.data) == {"received_at"}
            (event,) = await recipient.count("private", 1)
            assert event.id is None
            assert event.envelope["author_id"] == sender.user_id
            assert event.envelope["to_user_id"] == recipient.user_id
            assert event.message == {"b": 1}
            await channel.publish("last")
            for reader in (sender, other):
                await reader.count("broadcast", 1)
                assert [event.type for event in reader.events] == ["init", "broadcast"]
            assert channel.stream.bounds.head == 1

    run(main())


@pytest.mark.parametrize("to_user_id", [ABSENT, ""])
def test_publish_private_without_a_recipient_is_a_400(tmp_path: Path, to_user_id: object):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.publish(type="private", to_user_id=to_user_id)
            assert answer.status == 400
            assert "to_user_id" in answer.json["message"]

    run(main())


def test_publish_private_to_somebody_who_is_not_there_is_a_409(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            elsewhere = await channel.subscribe(stream_id=CLOSED).started()
            for user_id in ("nobody", elsewhere.user_id):
                assert (await channel.publish(type="private", to_user_id=user_id)).status == 409

    run(main())


def test_publish_private_to_somebody_whose_stream_is_ending_is_a_409(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            channel.stream.subscribers[reader.user_id].end()
            assert (await channel.publish(type="private", to_user_id=reader.user_id)).status == 409

    run(main())


def test_publish_request_without_a_subscription_is_a_409(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.publish(type="request", message=ABSENT)
            assert answer.status == 409
            assert len(answer.json["message"]) > 20

    run(main())


def test_publish_request_of_a_plain_subscriber_of_a_closed_stream_is_refused(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            plain = await channel.subscribe(stream_id=CLOSED).started()
            assert (await channel.publish(type="request", stream_id=CLOSED, token=plain.token)).status == 403
            reader = await channel.subscribe(stream_id=CLOSED, ticket=SIGNER.make_ticket(CLOSED)).started()
            assert (await channel.publish(type="request", stream_id=CLOSED, token=reader.token)).status == 200
            await reader.count("request", 1)

    run(main())


def test_publish_on_a_closed_stream_tells_no_id(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            assert set((await channel.publish(stream_id=CLOSED)).data) == {"received_at"}

    run(main())
