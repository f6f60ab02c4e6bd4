from __future__ import annotations

import tracemalloc

import pytest

from inlive_banner.tail.framing import EventFramer


def test_framer_gives_nothing_of_an_unfinished_event() -> None:
    framer = EventFramer()

    assert framer.feed(b"id: 1\ndata: a\n") == b""
    assert framer.feed(b"\nda") == b"id: 1\ndata: a\n\n"


def test_framer_given_what_the_channel_sends_passes_it_on_unchanged() -> None:
    """This is the fast way: the same bytes, not a copy that was taken apart and put together."""
    events = "id: a-1\ndata: {}\n\ndata: {ä}\n\n".encode()

    assert EventFramer().feed(events) == events


def test_framer_leaves_out_what_means_nothing() -> None:
    piece = b": c\n\nfoo: x\nid: \0\nretry: soon\nid: 1\ndata: a\n\n"

    assert EventFramer().feed(piece) == b"id: 1\ndata: a\n\n"


def test_framer_given_an_event_of_the_longest_size_keeps_it() -> None:
    framer = EventFramer(max_event_bytes=10)

    assert framer.feed(b"\n:comments don't count\ndata: abcd\n\n") == b"data: abcd\n\n"
    assert framer.dropped_events == 0


@pytest.mark.parametrize("size", [1, 3, 1000], ids=lambda size: f"pieces of {size}")
def test_framer_given_a_longer_event_drops_it_alone_and_counts_it(size: int) -> None:
    framer = EventFramer(max_event_bytes=12)
    stream = b"data: a\n\nid: 2\ndata: abcde\n\ndata: b\n\n"

    events = b"".join(framer.feed(stream[start : start + size]) for start in range(0, len(stream), size))

    assert events == b"data: a\n\nid: 2\ndata:\n\ndata: b\n\n"
    assert framer.dropped_events == 1


@pytest.mark.parametrize("size", [1, 3, 1000], ids=lambda size: f"pieces of {size}")
def test_framer_given_a_longer_event_without_an_id_leaves_nothing_of_it(size: int) -> None:
    framer = EventFramer(max_event_bytes=10)
    stream = b"data: a\n\ndata: abcdefg\n\ndata: b\n\n"

    events = b"".join(framer.feed(stream[start : start + size]) for start in range(0, len(stream), size))

    assert events == b"data: a\n\ndata: b\n\n"
    assert framer.dropped_events == 1


@pytest.mark.parametrize(
    "line", [b"data: %s", b":%s", b"%s"], ids=["line of data", "comment", "line of an unknown field"]
)
def test_framer_given_a_line_without_end_holds_bounded_memory(line: bytes) -> None:
    framer = EventFramer(max_event_bytes=100_000)
    framer.feed(line % b"x")
    piece = b"x" * 10_000
    tracemalloc.start()
    try:
        for _ in range(2000):  # 20 MB
            framer.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000
    framer.feed(b"\n\n")
    assert framer.feed(b"data: after\n\n") == b"data: after\n\n"


def test_framer_given_keep_alives_for_ever_doesnt_drop_the_event_after_them() -> None:
    framer = EventFramer(max_event_bytes=20)
    for _ in range(1000):
        framer.feed(b":\n")

    assert framer.feed(b"data: after\n\n") == b"data: after\n\n"
    assert framer.dropped_events == 0
