"""One stream of the channel: its subscribers, its newest frames, and who is told of whom."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inlive_banner.channel.frames import encode_history, encode_notice, encode_stored, with_event_id
from inlive_banner.channel.logs.base import Bounds, Entry
from inlive_banner.channel.ring import Ring
from inlive_banner.channel.selection import ALL, Filters
from inlive_banner.channel.types import Message

if TYPE_CHECKING:
    from inlive_banner.channel.config import StreamConfig
    from inlive_banner.channel.hub import Hub
    from inlive_banner.channel.subscriber import Subscriber

__all__ = ["Stream"]

FLUSH_SECONDS = 0.005
MAX_FLUSH_SECONDS = 0.010
"""Broadcasts that come within this time of the last delivery are delivered together; the first one at once.

The time is as long as the last delivery took, within these bounds: a large audience is served in fewer, larger writes
(a thousand readers were given half as much again), a small one sooner."""
NOTICE_SECONDS_PER_SUBSCRIBER = 0.0002
"""Joins and leaves wait this long per subscriber: each goes to all, so a crowd that comes at once would
otherwise cost its square. With a delivery at some 8 microseconds this keeps presence under 5 % of a core."""
TURN_SUBSCRIBERS = 250
"""Subscribers served before the event loop gets a turn, so that publishes don't wait for a large audience."""


class Stream:
    """All on the event loop; nothing here blocks."""

    def __init__(self, hub: Hub, config: StreamConfig) -> None:
        self.hub = hub
        self.log = hub.log
        self.config = config
        self.stream_id = config.stream_id
        self.ring = Ring(self.bounds.head)
        self.filters = Filters()
        self.subscribers: dict[str, Subscriber] = {}
        """By user id: each subscription has one of its own."""
        self.idle_readers: set[Subscriber] = set()
        """Readers that have been given everything, and can be sent to at once."""
        self.announced = 0
        self._loop = asyncio.get_running_loop()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flush_at = 0.0
        self._flush_began = 0.0
        self._flushed_at = 0.0
        self._flush_seconds = FLUSH_SECONDS
        self._turn: list[Subscriber] = []
        self._behind = False
        self._goal = 0

    @property
    def bounds(self) -> Bounds:
        """What the log holds of this stream."""
        return self.log.bounds(self.stream_id)

    def committed(self, entries: Sequence[Entry]) -> None:
        """Fan out what the log has just made durable."""
        append = self.ring.append
        for event_id, body in entries:
            append(encode_stored(body, str(event_id)), seq=event_id.seq)
        self._flush_within(self._flush_seconds)

    def reset(self) -> None:
        """Begin again: the log has lost what was fanned out. Who comes again is told so by its position."""
        self.ring = Ring(self.bounds.head)
        for subscriber in list(self.subscribers.values()):
            subscriber.end()

    def viewer_count_for(self, subscriber: Subscriber) -> int:
        """The announced subscribers, and the one who asks; who may not read the stream isn't told how many."""
        if not subscriber.reader:
            return 1
        return self.viewer_count + (0 if subscriber.silent else 1)

    @property
    def viewer_count(self) -> int:
        """The announced subscribers of all nodes."""
        return self.announced + self.hub.presence.elsewhere(self.stream_id)

    def tell_of_other(self, status: str) -> None:
        """A subscriber of another node has joined, or left."""
        self._notify(status)

    def add(self, subscriber: Subscriber) -> None:
        """Take a subscriber in, once its init has been sent; the others are told of it a little later."""
        self.subscribers[subscriber.user_id] = subscriber
        self.hub.keep_alive(subscriber)
        if not subscriber.silent:
            subscriber.announce_timer = self._loop.call_later(
                self.hub.config.announce_seconds, self._announce, subscriber
            )
        if self.hub.closing:
            subscriber.end()  # the server began to end its streams while the init was being sent

    def remove(self, subscriber: Subscriber) -> None:
        """Let a subscriber go; the others are told, if they had been told of it."""
        subscriber.close()
        self.idle_readers.discard(subscriber)
        self.hub.forget(subscriber)
        if self.subscribers.pop(subscriber.user_id, None) is not None and subscriber.announced:
            self.announced -= 1
            self._notify("leave")
            self.hub.presence.changed(self)

    def send_private(self, user_id: str, frame: bytes) -> int:
        """Deliver to one subscriber alone: 200; 0 where this node doesn't have it, or can't."""
        subscriber = self.subscribers.get(user_id)
        return 200 if subscriber is not None and subscriber.send_alone(frame) else 0

    def request_history(self, user_id: str) -> int:
        """Have a subscriber be sent the history: 200; 0 where this node doesn't have it.

        403 where it may not read, 429 where its history is on its way already.
        """
        subscriber = self.subscribers.get(user_id)
        if subscriber is None:
            return 0
        if not subscriber.reader:
            return 403
        if subscriber.wants_history:
            return 429
        subscriber.send_history()
        return 200

    async def read_history(self, subscriber: Subscriber) -> bytes:
        """The answer to a subscriber's `request`: the newest broadcasts, within the configured bounds."""
        config = self.hub.config
        async with self.hub.histories:
            entries = await self.log.read_newest(
                self.stream_id, limit=config.history_limit, max_bytes=config.history_max_bytes
            )
            selection = subscriber.selection
            envelopes = [
                with_event_id(selected, str(event_id)) for event_id, body in entries if (selected := selection.of(body))
            ]
            return encode_history(self.stream_id, subscriber.user_id, envelopes)

    def _announce(self, subscriber: Subscriber) -> None:
        subscriber.announce_timer = None
        subscriber.announced = True
        self.announced += 1
        subscriber.own_notice = self.ring.end
        self._notify("join")
        self.hub.presence.changed(self)

    def _notify(self, status: str) -> None:
        """Tell all readers of a join or a leave."""
        notice = encode_notice(self.stream_id, "system", {"status": status, "viewer_count": self.viewer_count})
        self.ring.append(notice)
        self._flush_within(max(FLUSH_SECONDS, len(self.idle_readers) * NOTICE_SECONDS_PER_SUBSCRIBER))

    def _flush_within(self, interval_seconds: float) -> None:
        """Flush at once if the last flush is that long ago, else when it is."""
        if self._turn or not self.idle_readers:
            return  # a flush is under way and looks again at its end; or nobody waits for one
        at = max(self._loop.time(), self._flushed_at + interval_seconds)
        if self._flush_timer is not None:
            if self._flush_at <= at:
                return
            self._flush_timer.cancel()
        self._flush_at = at
        self._flush_timer = self._loop.call_at(at, self._flush)

    def _flush(self) -> None:
        """Deliver to all idle readers what they don't have yet, a turn of the event loop at a time."""
        self._flush_timer = None
        if not self._turn:
            self._turn = list(self.idle_readers)
            self._behind = False
            self._goal = self.ring.end
            self._flush_began = self._loop.time()
        turn = self._turn[-TURN_SUBSCRIBERS:]
        del self._turn[-TURN_SUBSCRIBERS:]
        self._serve(turn)
        if self._turn:
            self._loop.call_soon(self._flush)
            return
        self._flushed_at = self._loop.time()
        self._flush_seconds = min(max(FLUSH_SECONDS, self._flushed_at - self._flush_began), MAX_FLUSH_SECONDS)
        if self._behind:
            self._flush_within(0.0)
        elif self._goal != self.ring.end:
            self._flush_within(self._flush_seconds)

    def _serve(self, turn: list[Subscriber]) -> None:
        ring = self.ring
        index_before: int | None = -1
        index_after = seq_after = 0
        selection_before = ALL
        data = b""
        message: Message = {}
        for subscriber in turn:
            index = subscriber.index
            if index == ring.end or subscriber.pumping or subscriber.ended:
                continue
            if index is None or index <= subscriber.own_notice or index < ring.start:
                subscriber.wake()  # the rare cases go through the whole loop
                continue
            if index != index_before or subscriber.selection is not selection_before:
                index_before, selection_before = index, subscriber.selection
                data, index_after, seq_after = ring.chunk_at(index, selection_before)
                message = {"type": "http.response.body", "body": data, "more_body": True}
                if index_after != ring.end:
                    self._behind = True
            if data:
                subscriber.deliver(message, index_after, seq_after)
            else:  # nothing for its filter; it is told of its new place with the next keep-alive
                subscriber.index, subscriber.seq = index_after, seq_after
