"""The tests' own reader of the wire: were it to let pass what isn't allowed, its users would prove nothing."""

from __future__ import annotations

import json

import pytest

from tests.e2e.sse_parser import COMMENT, ChunkReader, EventParser, WireError, strict_json

EPOCH = "0123456789ab"


def envelope(kind="broadcast", event_id="", **changes):
    fields = {
        "stream_id": "15",
        "author_id": "0",
        "to_user_id": "",
        "message": "hello",
        "timestamp": 0,
        "type": kind,
        "widget_key": "",
    }
    if event_id and kind == "broadcast":
        fields["id"] = event_id
    return json.dumps({**fields, **changes})


def block(kind="broadcast", seq=None, **changes):
    event_id = "" if seq is None else f"{EPOCH}-{seq}"
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}data: {envelope(kind, event_id, **changes)}\n\n"


INIT = "retry: 2000\n" + block("init", 0)


def parse(text):
    return list(EventParser().feed(text.encode("utf-8", "surrogatepass")))


def test_stream_that_keeps_the_protocol_passes():
    parser = EventParser()
    text = INIT + ":\n\n" + block(seq=1) + block("system") + block(seq=2) + "id: half"
    events = [COMMENT if isinstance(event, str) else event.type for event in parser.feed(text.encode())]
    assert events == [
        "init",
        COMMENT,
        "broadcast",
        "system",
        "broadcast",
    ]
    assert parser.retry_ms == 2000
    assert parser.pending == b"id: half"


@pytest.mark.parametrize(
    "text",
    [
        block(seq=1),
        INIT + INIT,
        INIT + block(seq=2),
        INIT + block(seq=1) + block(seq=1),
        INIT + block(),
        INIT + block("system", 1),
        INIT + "event: message\n" + block(seq=1),
        INIT + "retry: 1\n" + block(seq=1),
        INIT + f"id: {EPOCH}-1\n\n",
        INIT + f"id: {EPOCH}-1\n" + block(seq=1),
        INIT + f"id: {EPOCH}-2\ndata: {envelope(event_id=f'{EPOCH}-1')}\n\n",
        INIT + "data: {}\ndata: {}\n\n",
        INIT + "\n\n",
        INIT + ": comment\ndata: 1\n\n",
        INIT + "data:1\n\n",
        INIT + block(seq=1).replace("\n", "\r\n"),
        INIT + "data: [1]\n\n",
        INIT + block("system", message=float("nan")),
        INIT + block("system", timestamp="0"),
        INIT + block("system", surplus=1),
        INIT + block("system", publish_id=""),
        INIT + block("system", message="\ud800"),
    ],
)
def test_stream_that_breaks_the_protocol_fails(text):
    with pytest.raises(WireError):
        parse(text)


def test_chunks_are_taken_off_however_they_are_cut():
    reader = ChunkReader()
    wire = b"5\r\nhello\r\n1\r\n,\r\nA\r\n0123456789\r\n0\r\n\r\n"
    assert b"".join(reader.feed(wire[place : place + 1]) for place in range(len(wire))) == b"hello,0123456789"
    assert reader.ended


@pytest.mark.parametrize(
    "wire", [b"hello\r\n", b"5\r\nhello, world\r\n", b"-1\r\n\r\n", b"0x5\r\nhello\r\n", b"x" * 30]
)
def test_chunks_that_are_none_fail(wire):
    with pytest.raises(WireError):
        ChunkReader().feed(wire)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": 1, "a": 2}', '"\\ud800"', '{"a": "\\uDFFF"}'])
def test_json_that_is_not_strict_fails(text):
    with pytest.raises(WireError):
        strict_json(text)


def test_json_with_a_pair_of_surrogates_passes():
    assert strict_json('"\\ud83c\\udf88"') == "🎈"
