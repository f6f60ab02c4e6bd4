"""The newest frames of a stream, in memory once for all its subscribers.

The ring holds frames in the order in which they are fanned out: stored broadcasts, which have a number in the
log, and notices (join, leave), which have none. A place in the ring is an index that only grows; `start` and
`end` are the indexes of its first frame and of the next one to come. It holds frames whole: what a reader is sent of
a broadcast is cut out of it where frames are joined, once for all who are sent the same.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from inlive_banner.channel.selection import ALL, Selection

__all__ = ["Chunk", "Ring"]

MAX_BYTES = 4 * 1024 * 1024
"""Frames kept in memory per stream. Who is further behind reads the durable log."""
MAX_CHUNK_BYTES = 128 * 1024
"""Frames joined for one write. A slow reader holds one chunk, so this bounds what it costs."""

CACHED_CHUNKS = 24
"""Joined chunks that are kept: nearly all readers stand at the same place, and want the same."""


class Chunk(NamedTuple):
    """Joined frames, and where their reader stands after them."""

    data: bytes
    """b"" where nothing up to there is selected."""
    next_index: int
    """The reader's next place in the ring."""
    seq: int
    """The newest number in the log that the reader is then done with."""


class Ring:
    """A bounded run of frames."""

    __slots__ = ("_bytes", "_cache", "_frames", "_numbered", "_seqs", "before", "end", "max_bytes", "seq", "start")

    def __init__(self, seq: int, *, max_bytes: int = MAX_BYTES) -> None:
        self._frames: list[bytes] = []
        self._seqs: list[int] = []  # per frame: the newest number up to and including it; never falls
        self._numbered: list[bool] = []
        self._bytes = 0
        self._cache: dict[tuple[int, Selection], Chunk] = {}
        self.max_bytes = max_bytes
        self.start = 0
        self.end = 0
        self.before = seq
        """The newest number before the first frame: what came up to it is in the durable log only."""
        self.seq = seq
        """The newest number that has been fanned out."""

    def append(self, frame: bytes, *, seq: int | None = None) -> None:
        """Add a frame: a stored broadcast with its number (the next one), or a notice without."""
        if seq is not None:
            self.seq = seq
        self._frames.append(frame)
        self._seqs.append(self.seq)
        self._numbered.append(seq is not None)
        self._bytes += len(frame)
        self.end += 1
        if self._cache:
            self._cache.clear()
        if self._bytes > self.max_bytes:
            self._shrink()

    def index_after(self, seq: int) -> int | None:
        """The place right after a number, `self.seq` at most; None where the ring no longer reaches back to it."""
        if seq < self.before:
            return None
        place = bisect_left(self._seqs, seq)
        if place < len(self._seqs) and self._numbered[place] and self._seqs[place] == seq:
            place += 1
        return self.start + place

    def chunk_at(self, index: int, selection: Selection = ALL) -> Chunk:
        """The selected frames from a place on, joined, as many as fit in one write (one at least).

        Shared by all who ask for the same until the next frame comes.
        """
        chunk = self._cache.get((index, selection))
        if chunk is None:
            if len(self._cache) >= CACHED_CHUNKS:
                self._cache.clear()
            chunk = self._cache[index, selection] = self.join(index, self.end, selection)
        return chunk

    def join(self, index: int, until: int, selection: Selection = ALL, *, notices: bool = True) -> Chunk:
        """The selected frames from one place up to another, joined, as many as fit in one write; may be none."""
        frames = []
        size = 0
        place, last = index - self.start, until - self.start
        while place < last and size < MAX_CHUNK_BYTES:
            frame = self._frames[place]
            size += len(frame)  # also of what isn't selected, so that looking through it takes no longer
            if self._numbered[place]:
                frames.append(selection.of(frame))
            elif notices:
                frames.append(frame)
            place += 1
        return Chunk(b"".join(frames), self.start + place, self._seqs[place - 1] if place else self.before)

    def _shrink(self) -> None:
        """Drop the oldest quarter at once: dropping one by one would move the whole list each time."""
        target = self.max_bytes * 3 // 4
        count = 0
        while self._bytes > target and count < len(self._frames) - 1:
            self._bytes -= len(self._frames[count])
            count += 1
        self.before = self._seqs[count - 1] if count else self.before
        del self._frames[:count], self._seqs[:count], self._numbered[:count]
        self.start += count
