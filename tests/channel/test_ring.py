"""The ring: what it holds, where a reader stands in it, what is joined and shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.channel import ring as ring_module
from inlive_banner.channel.ring import Ring


def make_ring(*frames: bytes | tuple[bytes, int], before: int = 0, max_bytes: int = 1000) -> Ring:
    """A ring of notices (bytes) and of numbered frames (bytes, seq)."""
    ring = Ring(before, max_bytes=max_bytes)
    for frame in frames:
        if isinstance(frame, tuple):
            ring.append(frame[0], seq=frame[1])
        else:
            ring.append(frame)
    return ring


def test_ring_empty_stands_at_the_logs_head():
    ring = make_ring(before=7)
    assert (ring.start, ring.end, ring.seq) == (0, 0, 7)
    assert ring.index_after(7) == 0
    assert ring.index_after(6) is None


def test_ring_append_moves_end_and_number():
    ring = make_ring((b"a", 8), b"join", (b"b", 9), before=7)
    assert (ring.start, ring.end, ring.seq) == (0, 3, 9)


def test_ring_index_after_number_comes_before_the_notices_that_followed_it():
    ring = make_ring((b"a", 1), b"join", b"leave", (b"b", 2))
    assert [ring.index_after(seq) for seq in (0, 1, 2)] == [0, 1, 4]


def test_ring_index_after_dropped_number_reaches_the_notices_that_followed_it():
    ring = make_ring((b"a" * 10, 1), b"join", max_bytes=10)
    assert ring.start == 1
    assert ring.index_after(1) == 1
    assert ring.chunk_at(1).data == b"join"


def test_ring_index_after_before_its_start_is_none():
    ring = make_ring(*[(b"x" * 10, seq) for seq in range(1, 11)], max_bytes=40)
    assert ring.start > 0
    assert ring.index_after(ring.start - 1) is None
    assert ring.index_after(ring.start) == ring.start


def test_ring_chunk_ends_at_the_chunks_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ring_module, "MAX_CHUNK_BYTES", 3)
    ring = make_ring((b"aa", 1), (b"bb", 2), (b"cc", 3))
    assert ring.chunk_at(0) == (b"aabb", 2, 2)
    assert ring.chunk_at(2) == (b"cc", 3, 3)


def test_ring_chunk_larger_than_the_limit_has_one_frame(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ring_module, "MAX_CHUNK_BYTES", 3)
    assert make_ring((b"long frame", 1), (b"b", 2)).chunk_at(0) == (b"long frame", 1, 1)


def test_ring_chunk_is_shared_until_the_next_append():
    ring = make_ring((b"a", 1), (b"b", 2))
    chunk = ring.chunk_at(0)
    assert ring.chunk_at(0).data is chunk.data
    ring.append(b"c", seq=3)
    assert ring.chunk_at(0) == (b"abc", 3, 3)


def test_ring_chunk_of_a_notice_keeps_the_number_before_it():
    ring = make_ring((b"a", 1), b"join")
    assert ring.chunk_at(1) == (b"join", 2, 1)


def test_ring_join_without_notices_passes_over_them():
    ring = make_ring(b"join", (b"a", 1), b"leave", (b"b", 2))
    assert ring.join(0, 4, notices=False) == (b"ab", 4, 2)
    assert ring.join(2, 3, notices=False) == (b"", 3, 1)
    assert ring.join(0, 1, notices=False) == (b"", 1, 0)


def test_ring_frame_larger_than_the_ring_is_kept():
    ring = make_ring((b"a", 1), (b"x" * 50, 2), max_bytes=10)
    assert ring.chunk_at(ring.start).data == b"x" * 50


def test_ring_memory_with_readers_at_all_places_is_bounded():
    """A crowd that resumes from as many positions on a quiet stream may not keep a chunk each."""
    ring = make_ring(*[(b"x" * 100, seq) for seq in range(1, 2001)], max_bytes=10**6)
    for index in range(ring.start, ring.end):
        ring.chunk_at(index)
    assert sum(len(chunk.data) for chunk in ring._cache.values()) <= 4 * 1024 * 1024


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60), st.integers(1, 300), st.data()
)  # fmt: skip
def test_ring_read_from_any_number_gives_every_later_frame_once(
    frames: list[tuple[bool, int]], max_bytes: int, data: st.DataObject
):
    """From each number to which it reaches back, the chunks together are exactly the frames after it."""
    ring = Ring(100, max_bytes=max_bytes)
    written: list[tuple[int, bytes]] = []
    seq = 100
    for numbered, size in frames:
        if numbered:
            seq += 1
        frame = b"%d." % len(written) + b"x" * size
        written.append((seq if numbered else 0, frame))
        ring.append(frame, seq=seq if numbered else None)
    assert sum(len(frame) for _, frame in written[ring.start :]) <= max(
        max_bytes, len(written[-1][1]) if written else 0
    )
    wanted = data.draw(st.integers(100, seq))
    index = ring.index_after(wanted)
    places = [place for place, (number, _) in enumerate(written) if number == wanted]
    if places and places[0] >= ring.start:
        assert index == places[0] + 1
    if index is None:
        assert wanted + 1 < next((number for number, _ in written[ring.start :] if number), seq + 1)
        return
    got = b""
    while index < ring.end:
        chunk = ring.chunk_at(index)
        got += chunk.data
        assert chunk.next_index > index
        assert chunk.seq == max((number for number, _ in written[: chunk.next_index]), default=0) or chunk.seq == 100
        index = chunk.next_index
    later = [frame for number, frame in written if number > wanted]
    assert all(frame in got for frame in later)
    assert got == b"".join(frame for _, frame in written)[-len(got) :] or not got
