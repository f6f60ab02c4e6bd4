"""The parser by the HTML standard: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inlive_banner.tail.events import Event, parse_events
from tests.strategies import chunked, event_streams
from tests.tail.reference import interpret

CASES: dict[str, tuple[bytes, list[Event]]] = {
    # The standard's own examples.
    "standard: three data lines of the stock ticker": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [Event("YHOO\n+2\n10")],
    ),
    "standard: comment, id, reset of the id, two spaces": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [Event("first event", "1"), Event("second event", ""), Event(" third event", "")],
    ),
    "standard: empty data twice, and a last one that is cut off": (
        b"data\n\ndata\ndata\n\ndata:",
        [Event(""), Event("\n")],
    ),
    "standard: a space after the colon is ignored": (b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")]),
    "standard: events of two types": (
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
        [Event("73857293", type="add"), Event("2153", type="remove")],
    ),
    # Line ends.
    "LF": (b"data: a\n\ndata: b\n\n", [Event("a"), Event("b")]),
    "CR": (b"data: a\r\rdata: b\r\r", [Event("a"), Event("b")]),
    "CR LF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event("a"), Event("b")]),
    "line ends mixed in one event": (b"data: a\rdata: b\ndata: c\r\n\n", [Event("a\nb\nc")]),
    "LF then CR is two line ends": (b"data: a\n\rdata: b\n\n", [Event("a"), Event("b")]),
    "CR CR LF is two line ends": (b"data: a\r\r\ndata: b\n\n", [Event("a"), Event("b")]),
    "vertical tab, form feed and file separator end no line": (
        b"data: a\x0bb\x0cc\x1cd\n\n",
        [Event("a\x0bb\x0cc\x1cd")],
    ),
    "NEL, LINE and PARAGRAPH SEPARATOR end no line": (
        "data: a\x85b\u2028c\u2029d\n\n".encode(),
        [Event("a\x85b\u2028c\u2029d")],
    ),
    "blank lines around": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [Event("a"), Event("b")]),
    # The end of the stream.
    "cut off before the blank line": (b"data: a\n\ndata: b\n", [Event("a")]),
    "cut off in a line": (b"data: a\n\ndata: b", [Event("a")]),
    "cut off after the id": (b"data: a\nid: 1\n\nid: 2\n", [Event("a", "1")]),
    "nothing at all": (b"", []),
    "blank lines only": (b"\n\r\n\r", []),
    # Fields.
    "field without a colon": (b"data\n\n", [Event("")]),
    "field with an empty value": (b"data:\n\n", [Event("")]),
    "only one space is removed": (b"data:  a \n\n", [Event(" a ")]),
    "a tab isn't removed": (b"data:\ta\n\n", [Event("\ta")]),
    "colons in the value stay": (b"data: a: b::c\n\n", [Event("a: b::c")]),
    "space before the colon makes another field": (b"data : a\ndata: b\n\n", [Event("b")]),
    "space before the field makes another field": (b" data: a\ndata: b\n\n", [Event("b")]),
    "field names are case-sensitive": (b"Data: a\nDATA: b\ndata: c\n\n", [Event("c")]),
    "a field that begins like another": (b"datax: a\ndata: b\nidx: 1\neventx: y\n\n", [Event("b")]),
    "unknown fields": (b"foo: a\ndata: b\nbar\n\n", [Event("b")]),
    "a line of white space is an unknown field": (b"data: a\n \ndata: b\n\t\n\n", [Event("a\nb")]),
    "order of fields doesn't matter": (b"data: a\nid: 1\nevent: x\n\n", [Event("a", "1", "x")]),
    "comment": (b":\n: c\n:data: c\ndata: a\n:\n\n", [Event("a")]),
    "comments alone dispatch nothing": (b"id: 1\ndata: a\n\n:\n\n:\n\n", [Event("a", "1")]),
    "empty first data line": (b"data:\ndata: a\n\n", [Event("\na")]),
    "empty last data line": (b"data: a\ndata:\n\n", [Event("a\n")]),
    # Event types.
    "empty type is message": (b"event:\ndata: a\n\n", [Event("a")]),
    "the last type counts": (b"event: x\nevent: y\ndata: a\n\n", [Event("a", type="y")]),
    "a type lasts for one event": (b"event: x\ndata: a\n\ndata: b\n\n", [Event("a", type="x"), Event("b")]),
    "a type without data is forgotten": (b"event: x\n\ndata: b\n\n", [Event("b")]),
    # Ids.
    "an id lasts": (b"id: 1\ndata: a\n\ndata: b\n\n", [Event("a", "1"), Event("b", "1")]),
    "an empty id resets": (
        b"id: 1\ndata: a\n\nid\ndata: b\n\nid: \ndata: c\n\n",
        [Event("a", "1"), Event("b"), Event("c")],
    ),
    "the last id counts": (b"id: 1\nid: 2\ndata: a\n\n", [Event("a", "2")]),
    "an id with NUL is ignored": (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [Event("a", "1"), Event("b", "1")]),
    "an id with NUL after a good one": (b"id: 1\nid: \0\ndata: a\n\n", [Event("a", "1")]),
    "an id without data counts": (b"id: 1\n\ndata: a\n\n", [Event("a", "1")]),
    "the newest id without data counts": (
        b"id: 1\n\nid: 2\n\n:\n\ndata: a\n\ndata: b\n\n",
        [Event("a", "2"), Event("b", "2")],
    ),
    "an event's own id beats one without data": (b"id: 1\n\nid: 2\ndata: a\n\n", [Event("a", "2")]),
    "an id without data doesn't come back": (
        b"id: 1\n\nid: 2\ndata: a\n\ndata: b\n\n",
        [Event("a", "2"), Event("b", "2")],
    ),
    "an empty id without data resets": (b"id: 1\ndata: a\n\nid\n\ndata: b\n\n", [Event("a", "1"), Event("b", "")]),
    "an id keeps its inner spaces": (b"id:  1 \ndata: a\n\n", [Event("a", " 1 ")]),
    # Retry.
    "retry": (b"retry: 1500\ndata: a\n\ndata: b\n\n", [Event("a", retry_ms=1500), Event("b")]),
    "retry without data counts for the next event": (b"retry: 7\n\ndata: a\n\n", [Event("a", retry_ms=7)]),
    "retry without data counts once": (
        b"retry: 7\n\ndata: a\n\ndata: b\n\n",
        [Event("a", retry_ms=7), Event("b")],
    ),
    "retry that isn't digits is ignored": (
        b"retry: 1s\nretry: -1\nretry: +1\nretry: 1.5\nretry: 1_0\nretry:  5\nretry:\nretry\ndata: a\n\n",
        [Event("a")],
    ),
    "retry in digits of another script is ignored": ("retry: \u0661\ndata: a\n\n".encode(), [Event("a")]),
    "retry with leading zeros": (b"retry: 0010\ndata: a\n\n", [Event("a", retry_ms=10)]),
    "retry of zero": (b"retry: 000\ndata: a\n\n", [Event("a", retry_ms=0)]),
    "retry longer than a number that Python reads": (
        b"retry: " + b"9" * 5000 + b"\ndata: a\n\n",
        [Event("a", retry_ms=10**18 - 1)],
    ),
    # Encoding.
    "byte order mark at the start": (b"\xef\xbb\xbfdata: a\n\n", [Event("a")]),
    "second byte order mark is a character": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Event("b")]),
    "byte order mark elsewhere is a character": (
        b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n",
        [Event("a"), Event("c")],
    ),
    "byte order mark cut short is invalid": (b"\xef\xbbdata: a\n\ndata: b\n\n", [Event("b")]),
    "invalid UTF-8 is replaced": (b"data: a\xffb\n\n", [Event("a\ufffdb")]),
    "cut off UTF-8 at a line's end is replaced": (b"data: a\xe2\x82\ndata: b\n\n", [Event("a\ufffd\nb")]),
    "surrogates in UTF-8 are invalid": (b"data: \xed\xa0\x80\n\n", [Event("\ufffd\ufffd\ufffd")]),
    "characters of two, three and four bytes": ("data: ä€😀\n\n".encode(), [Event("ä€😀")]),
    "NUL in data": (b"data: a\0b\n\n", [Event("a\0b")]),
    "NUL in a type": (b"event: a\0b\ndata: c\n\n", [Event("c", type="a\0b")]),
    "NUL in a field's name makes another field": (b"da\0ta: a\ndata: b\n\n", [Event("b")]),
}


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES)
def test_parse_events_by_the_standard_whole(stream: bytes, events: list[Event]) -> None:
    assert list(parse_events([stream])) == events


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES)
def test_parse_events_by_the_standard_byte_by_byte(stream: bytes, events: list[Event]) -> None:
    assert list(parse_events(bytes([byte]) for byte in stream)) == events


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES)
def test_parse_events_by_the_standard_cut_in_two_anywhere(stream: bytes, events: list[Event]) -> None:
    for cut in range(min(len(stream), 100)):
        assert list(parse_events([stream[:cut], b"", stream[cut:]])) == events, cut


@settings(max_examples=500)
@given(st.data(), event_streams())
def test_parse_events_however_cut_is_what_the_standard_says(data: st.DataObject, stream: bytes) -> None:
    pieces = data.draw(chunked(stream))

    assert list(parse_events(pieces)) == interpret(stream)


@settings(max_examples=200)
@given(st.data(), st.binary(max_size=200))
def test_parse_events_of_any_bytes_never_raises(data: st.DataObject, stream: bytes) -> None:
    assert list(parse_events(data.draw(chunked(stream)))) == interpret(stream)


@settings(max_examples=300)
@given(st.data(), event_streams(), st.integers(1, 12))
@example(data=None, stream=b":long comment\n" * 9 + b"data: a\n\n", max_event_bytes=7)
def test_parse_events_of_bounded_size_drop_the_same_however_cut(
    data: st.DataObject | None, stream: bytes, max_event_bytes: int
) -> None:
    pieces = data.draw(chunked(stream)) if data else [bytes([byte]) for byte in stream]

    cut = list(parse_events(pieces, max_event_bytes=max_event_bytes))

    assert cut == list(parse_events([stream], max_event_bytes=max_event_bytes))
    assert {event.data for event in cut} <= {event.data for event in interpret(stream)} | {""}


def test_parse_events_gives_an_event_before_the_next_piece_is_asked_for() -> None:
    """A lone click isn't held back until something follows it."""

    def pieces() -> Iterator[bytes]:
        yield b"data: a\r\r"
        pytest.fail("asked for more")

    assert next(parse_events(pieces())) == Event("a")
