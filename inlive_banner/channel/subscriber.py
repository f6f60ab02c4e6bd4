"""A subscriber: one open event stream, which is a position in the log and nothing more.

It reads "what comes after my position" from the ring, from the durable log where it is further behind, and
waits where it is at the head. Replay and live delivery are this one loop, so no hand-over exists at which an
event could be lost, doubled or reordered. Frames that are for it alone go through a small mailbox, drained by the
same loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from inlive_banner.channel.driving import Suspended, step
from inlive_banner.channel.frames import KEEP_ALIVE, encode_position, encode_stored
from inlive_banner.channel.selection import Selection
from inlive_banner.channel.types import Message, Send
from inlive_banner.exceptions import LogUnavailableError

if TYPE_CHECKING:
    from inlive_banner.channel.stream import Stream

__all__ = ["Subscriber"]

logger = logging.getLogger(__name__)

MAILBOX_FRAMES = 64
"""Frames that may wait for one subscriber alone; one that takes none of them is cut, and resumes."""
READ_ENTRIES = 500
READ_BYTES = 128 * 1024
"""One read of the durable log, and so the memory that a reader far behind takes."""

_KEEP_ALIVE_MESSAGE: Message = {"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True}


class Subscriber:
    """One open stream. All methods run on the event loop; none blocks."""

    __slots__ = (
        "_app_task",
        "_end_timer",
        "_pump",
        "_rest",
        "_send",
        "announce_timer",
        "announced",
        "beat_slot",
        "born",
        "ended",
        "index",
        "mailbox",
        "own_notice",
        "pumping",
        "reader",
        "selection",
        "seq",
        "silent",
        "stream",
        "told_seq",
        "user_id",
        "wants_history",
    )

    def __init__(
        self, stream: Stream, send: Send, *, user_id: str, reader: bool, selection: Selection, silent: bool = False
    ) -> None:
        self.stream = stream
        self._send = send
        self.user_id = user_id
        self.reader = reader
        """Whether it may read the stream; else it gets only what is addressed to it."""
        self.selection = selection
        """What it is sent of the broadcasts."""
        self.silent = silent
        self.announced = False
        self.announce_timer: asyncio.TimerHandle | None = None
        self.seq = stream.ring.seq
        """The newest number that it is done with."""
        self.told_seq = self.seq
        """Where a filtered one stood when it was last told: its client can't see what passes it by."""
        self.index: int | None = stream.ring.end
        """Its place in the ring; None while it reads the durable log."""
        self.born = stream.ring.end
        """Notices before this place are from before its time: its init has counted them."""
        self.own_notice = -1
        """The place of its own join, which it isn't told of."""
        self.mailbox: deque[bytes] | None = None  # made when first needed: an empty one takes 600 bytes
        self.wants_history = False
        self.beat_slot = 0
        self.pumping = True  # until its init is sent, nothing else may be
        self.ended = False
        self._pump: asyncio.Task[None] | None = None
        self._rest: Suspended[None] | None = None
        self._app_task = asyncio.current_task()
        self._end_timer: asyncio.TimerHandle | None = None

    def start_at(self, seq: int) -> None:
        """Begin after a number, instead of at the head."""
        self.seq = self.told_seq = seq
        self.index = self.stream.ring.index_after(seq)

    def end_at(self, delay_seconds: float) -> None:
        """End the stream after a time: when its ticket does."""
        self._end_timer = asyncio.get_running_loop().call_later(max(0.0, delay_seconds), self.end)

    def run(self) -> None:
        """Deliver what there is; goes on in a task where it has to wait. Called when it is idle and has something."""
        self.pumping = True
        try:
            rest = step(self._deliver())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (as in _finish)
            self._failed(error)
            return
        if rest is not None:
            self._go_on_later(rest)

    def deliver(self, message: Message, index: int | None, seq: int) -> None:
        """Send a ready chunk, and stand after it. The fast way of a subscriber that is idle and has no mail."""
        self.index = index
        self.seq = seq
        coroutine = self._send(message)
        try:
            # As `step` does; written out, because this line runs for each event and subscriber.
            waits_for = coroutine.send(None)
        except StopIteration:
            return
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (as in _finish)
            self._failed(error)
            return
        self.pumping = True
        self.stream.idle_readers.discard(self)
        self._go_on_later(Suspended(coroutine, waits_for))

    def keep_alive(self) -> None:
        """Send a sign of life; a filtered subscriber that has moved on is told where it stands. Called when idle."""
        if self.seq == self.told_seq or not self.selection.actions:
            self.deliver(_KEEP_ALIVE_MESSAGE, self.index, self.seq)
        else:
            position: Message = {"type": "http.response.body", "body": self._position(), "more_body": True}
            self.deliver(position, self.index, self.seq)

    def send_alone(self, frame: bytes) -> bool:
        """Send a frame that is for this subscriber only; False where it can't be.

        A subscriber that has taken none for long is cut; it reconnects.
        """
        if self.ended:
            return False
        if self.mailbox is None:
            self.mailbox = deque()
        if len(self.mailbox) >= MAILBOX_FRAMES:
            self.end()
            return False
        self.mailbox.append(frame)
        self.wake()
        return True

    def send_history(self) -> None:
        """Answer its `request`, once what is being sent is sent."""
        self.wants_history = True
        self.wake()

    def wake(self) -> None:
        """Have it look for something to deliver, if it isn't already at it."""
        if not self.pumping:
            self.stream.idle_readers.discard(self)
            self.run()

    def end(self) -> None:
        """End the stream from the server's side; the client reconnects and resumes."""
        if self.ended:
            return
        self.ended = True
        self.stream.idle_readers.discard(self)
        if self._pump is not None:
            self._pump.cancel()
        if self._app_task is not None:
            # Its coroutine waits for the client to hang up; cancelling is the one way to wake it on any server.
            self._app_task.cancel()

    async def settle(self) -> None:
        """Wait until nothing more is being sent, after `end`."""
        if self._pump is not None:
            await asyncio.wait((self._pump,))
        if self._rest is not None:
            self._rest.close()  # a task that was cancelled before its first step has never come to it

    def close(self) -> None:
        """Let go of timers and tasks, once the stream has ended from either side."""
        self.ended = True
        for timer in (self.announce_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        if self._pump is not None:
            self._pump.cancel()

    def _go_on_later(self, rest: Suspended[None]) -> None:
        self._rest = rest
        self._pump = asyncio.ensure_future(self._finish(rest))

    async def _finish(self, rest: Suspended[None]) -> None:
        try:
            await rest
            await self._deliver()
        except asyncio.CancelledError:
            self.end()
            raise
        except Exception as error:  # noqa: BLE001  (a server's send may raise anything; it ends this one stream)
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        # Servers may raise OSError for a client that has hung up (ASGI, "disconnected client"): that is no fault.
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR
        logger.log(level, "can't send to a subscriber stream=%s", self.stream.stream_id, exc_info=error)
        self.end()

    async def _deliver(self) -> None:
        """The loop: its own frames first, then what comes after its position, until there is nothing."""
        while not self.ended:
            data = await self._next()
            if not data:
                break
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._pump = self._rest = None
        self.pumping = False
        if self.reader and not self.ended:
            self.stream.idle_readers.add(self)

    async def _next(self) -> bytes:
        """The next bytes to send, its position moved past them; empty where it is at the head."""
        if self.mailbox:
            return self.mailbox.popleft()
        if self.wants_history:
            self.wants_history = False
            return await self.stream.read_history(self)
        while self.reader and not self.ended:
            if self.index is not None and self.index < self.stream.ring.start:
                self.index = None  # it was slow: what it needs has left the ring
            if self.index is None:
                data = await self._read_log()
            elif self.index < self.stream.ring.end:
                data = self._read_ring(self.index)
            else:
                break
            if data:
                return data
        return b""

    def _read_ring(self, index: int) -> bytes:
        ring = self.stream.ring
        if index < self.born:
            chunk = ring.join(index, self.born, self.selection, notices=False)
        elif index < self.own_notice:
            chunk = ring.join(index, self.own_notice, self.selection)
        elif index == self.own_notice:
            self.index = index + 1
            return b""
        else:
            chunk = ring.chunk_at(index, self.selection)
        self.index, self.seq = chunk.next_index, chunk.seq
        return chunk.data

    async def _read_log(self) -> bytes:
        """Read on from the durable log, or step over to the ring where it reaches back far enough."""
        self.index = self.stream.ring.index_after(self.seq)
        if self.index is not None:
            return b""
        try:
            entries = await self.stream.log.read_after(
                self.stream.stream_id, self.seq, limit=READ_ENTRIES, max_bytes=READ_BYTES
            )
        except LogUnavailableError as error:
            logger.warning("can't replay stream=%s seq=%s: %s", self.stream.stream_id, self.seq, error)
            self.end()
            return b""
        if not entries or entries[0].event_id.seq != self.seq + 1:
            # The log has been trimmed past its position. The stream ends; its reconnect is told `recovered: false`.
            self.end()
            return b""
        # What the ring holds comes from there, with the notices between.
        entries = [entry for entry in entries if entry.event_id.seq <= self.stream.ring.before]
        self.seq += len(entries)
        frames = [
            encode_stored(selected, str(event_id))
            for event_id, body in entries
            if (selected := self.selection.of(body))
        ]
        # Where nothing of a whole read is for it, its place is a sign of life: the next read may bring nothing either.
        return b"".join(frames) if frames or not entries else self._position()

    def _position(self) -> bytes:
        self.told_seq = self.seq
        return encode_position(self.stream.bounds.event_id(self.seq))
