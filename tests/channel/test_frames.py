"""Frames: one event each, one line of data, an id only where the client shall remember it."""

from __future__ import annotations

import json

from hypothesis import given

from inlive_banner.channel.frames import (
    KEEP_ALIVE,
    encode_history,
    encode_notice,
    encode_stored,
    frame,
    with_event_id,
)
from inlive_banner.envelope import Envelope, EventId, decode_envelope, encode_envelope
from tests.strategies import raw_json


def test_keep_alive_is_a_comment_without_fields():
    assert KEEP_ALIVE == b":\n\n"


def test_frame_without_an_id_has_none():
    assert frame(b"{}") == b"data: {}\n\n"


def test_frame_with_an_id_begins_with_it():
    assert frame(b"{}", event_id="0123456789ab-7") == b"id: 0123456789ab-7\ndata: {}\n\n"


def test_notice_has_the_servers_author_and_no_widget_key():
    lines = encode_notice(15, "system", {"status": "join", "viewer_count": 2}).split(b"\n")
    assert lines[1:] == [b"", b""]
    assert json.loads(lines[0].removeprefix(b"data: ")) == {
        "stream_id": "15",
        "author_id": "0",
        "to_user_id": "",
        "message": {"status": "join", "viewer_count": 2},
        "timestamp": 0,
        "type": "system",
        "widget_key": "",
    }


def test_notice_with_a_position_carries_it_as_id():
    notice = encode_notice(15, "init", {}, to_user_id="u", position=EventId("0123456789ab", 3))
    assert notice.startswith(b"id: 0123456789ab-3\ndata: ")


@given(raw_json())
def test_stored_frame_of_any_message_is_two_lines_with_the_same_id_twice(message: bytes):
    body = make_body(message)
    data = b'{"id":"0123456789ab-9",' + body[1:]
    assert encode_stored(body, "0123456789ab-9") == b"id: 0123456789ab-9\ndata: " + data + b"\n\n"
    assert with_event_id(body, "0123456789ab-9") == data
    assert decode_envelope(data).id == "0123456789ab-9"


def test_history_is_one_event_to_one_user_with_all_envelopes():
    envelopes = [with_event_id(make_body(b"%d" % number), f"0123456789ab-{number}") for number in (1, 2)]
    lines = encode_history(15, "user", envelopes).split(b"\n")
    assert lines[1:] == [b"", b""]
    answer = json.loads(lines[0].removeprefix(b"data: "))
    assert (answer["type"], answer["author_id"], answer["to_user_id"]) == ("request", "0", "user")
    assert [(item["id"], item["message"]) for item in answer["message"]] == [
        ("0123456789ab-1", 1),
        ("0123456789ab-2", 2),
    ]


def test_history_of_nothing_is_an_empty_array():
    answer = json.loads(encode_history(15, "user", []).split(b"\n")[0].removeprefix(b"data: "))
    assert answer["message"] == []


def make_body(message: bytes) -> bytes:
    import msgspec

    return encode_envelope(
        Envelope(
            stream_id="15",
            author_id="author",
            to_user_id="",
            message=msgspec.Raw(message),
            timestamp=0,
            type="broadcast",
            widget_key="key",
        )
    )


def test_stored_frame_line_breaks_of_unicode_are_no_line_breaks():
    body = make_body('"a\u2028b\u0085c"'.encode())
    assert encode_stored(body, "0123456789ab-1").count(b"\n") == 3
