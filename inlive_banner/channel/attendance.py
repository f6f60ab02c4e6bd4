"""Which streams this node follows: those that somebody here subscribes to, and some seconds longer.

Nodes share a log; if each followed all of it, each would have to be as fast as all of them together.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inlive_banner.channel.logs.base import Log
    from inlive_banner.channel.presence import Presence
    from inlive_banner.channel.stream import Stream

__all__ = ["Attendance"]

LEAVE_SECONDS = 30.0
"""A stream is followed so long after its last subscriber has gone: a page that is reloaded finds it as it was."""
LOOK_SECONDS = 5.0


class Attendance:
    """One for all streams of a node. It does nothing where the log isn't shared."""

    def __init__(self, log: Log, presence: Presence, streams: Mapping[int, Stream]) -> None:
        self._log = log
        self._presence = presence
        self._streams = streams
        self._needed_at: dict[int, float] = {}
        """When somebody was last here for the stream, of all that are followed (loop time)."""
        self._coming: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Who comes while the first one waits, waits with it."""
        self._beat: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look for streams that nobody needs any more."""
        if self._log.is_shared:
            self._beat = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    async def attend(self, stream: Stream) -> None:
        """Follow the stream, and know its viewers, from here on. Raises `LogUnavailableError`."""
        if not self._log.is_shared:
            return
        async with self._coming[stream.stream_id]:
            self._needed_at[stream.stream_id] = asyncio.get_running_loop().time()
            if await self._log.attend(stream.stream_id):
                await self._presence.greet(stream)

    def stop(self) -> None:
        """Look no more."""
        if self._beat is not None:
            self._beat.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(LOOK_SECONDS, self._look)
        for stream_id, needed_at in list(self._needed_at.items()):
            stream = self._streams[stream_id]
            if stream.subscribers or self._coming[stream_id].locked():
                self._needed_at[stream_id] = loop.time()
            elif loop.time() - needed_at > LEAVE_SECONDS:
                del self._needed_at[stream_id]
                self._presence.forget(stream)
                self._log.leave(stream_id)
