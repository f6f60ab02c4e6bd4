"""The hub: the streams of one channel, over one log, with one timer for all keep-alives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from inlive_banner.channel.attendance import Attendance
from inlive_banner.channel.notes import GREETING, VIEWERS, decode_note
from inlive_banner.channel.presence import Presence
from inlive_banner.channel.relay import Relay
from inlive_banner.channel.stream import Stream

if TYPE_CHECKING:
    from inlive_banner.channel.config import ChannelConfig
    from inlive_banner.channel.logs.base import Entry, Log
    from inlive_banner.channel.senders import Senders
    from inlive_banner.channel.subscriber import Subscriber

__all__ = ["Hub"]

HISTORIES_AT_ONCE = 4
"""Answers to a `request` being made at one time: each may take `history_max_bytes` of memory."""
BEAT_SLOTS = 15
"""The keep-alives of one period are spread over this many ticks of the timer."""


class Hub:
    """All streams. Opened and closed with its log, on one event loop."""

    def __init__(self, config: ChannelConfig, log: Log, senders: Senders) -> None:
        self.config = config
        self.log = log
        self.senders = senders
        self.streams: dict[int, Stream] = {}
        self.presence = Presence(log, self.streams)
        self.attendance = Attendance(log, self.presence, self.streams)
        self.relay = Relay(log, self.attendance)
        self.histories = asyncio.Semaphore(HISTORIES_AT_ONCE)
        self.closing = False
        """True once streams are being ended: no new ones are taken."""
        self._slots: list[set[Subscriber]] = [set() for _ in range(BEAT_SLOTS)]
        self._next_slot = cycle(range(BEAT_SLOTS))
        self._beat_timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Open the log and begin. Raises `LogUnavailableError`, `LogOwnedError`."""
        await self.log.open(list(self.config.streams), self._committed, self._reset, self._note)
        self.streams.update((stream_id, Stream(self, stream)) for stream_id, stream in self.config.streams.items())
        self.presence.start()
        self.attendance.start()
        self._beat(cycle(range(BEAT_SLOTS)))

    def keep_alive(self, subscriber: Subscriber) -> None:
        """Begin to send a subscriber a comment in each period."""
        subscriber.beat_slot = next(self._next_slot)
        self._slots[subscriber.beat_slot].add(subscriber)

    def forget(self, subscriber: Subscriber) -> None:
        """Stop keeping a subscriber alive."""
        self._slots[subscriber.beat_slot].discard(subscriber)

    def end_streams(self) -> None:
        """End all streams and take no new ones; publishes go on."""
        self.closing = True
        for stream in self.streams.values():
            for subscriber in list(stream.subscribers.values()):
                subscriber.end()

    async def close(self) -> None:
        """End all streams, finish accepted publishes, close the log."""
        self.end_streams()
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self.attendance.stop()
        await self.presence.stop()
        await self.log.close()

    def _committed(self, stream_id: int, entries: Sequence[Entry]) -> None:
        self.streams[stream_id].committed(entries)

    def _reset(self, stream_id: int) -> None:
        self.streams[stream_id].reset()

    def _note(self, stream_id: int, data: bytes) -> None:
        stream, note = self.streams.get(stream_id), decode_note(data)
        if stream is None or note is None:
            return  # it opens just now; or a node of another version speaks
        if note.kind in (VIEWERS, GREETING):
            self.presence.take(stream, note)
        else:
            self.relay.take(stream, note)

    def _beat(self, slots: cycle[int]) -> None:
        loop = asyncio.get_running_loop()
        self._beat_timer = loop.call_later(self.config.keep_alive_seconds / BEAT_SLOTS, self._beat, slots)
        self.senders.forget_past()
        for subscriber in list(self._slots[next(slots)]):
            if not subscriber.pumping and not subscriber.ended:  # else something is being sent, or the socket is full
                subscriber.keep_alive()
