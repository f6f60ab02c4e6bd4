"""How many subscribers a stream has at all nodes: each node tells the others of its own, whenever that changes.

It also tells it every few seconds, so that whatever was lost is right again by then; and a node that nobody has heard
of for some time has gone, with all of its subscribers. The others announce each of them as if it were their own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import defaultdict
from typing import TYPE_CHECKING

from inlive_banner.channel.notes import GREETING, VIEWERS, Note, encode_note
from inlive_banner.exceptions import LogUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inlive_banner.channel.logs.base import Log
    from inlive_banner.channel.stream import Stream

__all__ = ["Presence"]

logger = logging.getLogger(__name__)

TELL_SECONDS = 3.0
"""Between two times that a node tells how many it has, though nothing has changed."""
GONE_SECONDS = 10.0
"""A node that isn't heard of for so long has gone: three times in vain."""
GREET_SECONDS = 0.3
"""So long a node that begins to attend a stream waits until the others have told it of theirs."""
MAX_UNTOLD = 20
"""Changes that wait to be told one by one; of more, only what they come to."""


class _Peer:
    """Another node, as far as one stream goes."""

    def __init__(self) -> None:
        self.count = 0
        self.heard_at = 0.0


class _Greeting:
    """What a node waits for that begins to attend a stream."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self.expected = math.inf
        self.is_over = asyncio.Event()

    def look(self) -> None:
        if len(self.heard) >= self.expected:
            self.is_over.set()


class Presence:
    """One for all streams of a node, of which it knows those that are attended. Nothing where the log isn't shared."""

    def __init__(self, log: Log, streams: Mapping[int, Stream]) -> None:
        self._log = log
        self._streams = streams
        self._node = secrets.token_hex(8)
        self._peers: defaultdict[int, defaultdict[str, _Peer]] = defaultdict(lambda: defaultdict(_Peer))
        self._untold: defaultdict[int, list[Note]] = defaultdict(list)
        self._telling: dict[int, asyncio.Task[None]] = {}
        self._heard_itself_at: defaultdict[int, float] = defaultdict(float)
        self._attended: set[int] = set()
        self._greetings: dict[int, _Greeting] = {}
        self._beat: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to tell."""
        if self._log.is_shared:
            self._tell_all()

    def elsewhere(self, stream_id: int) -> int:
        """Announced subscribers of the stream at other nodes."""
        return sum(peer.count for peer in self._peers[stream_id].values()) if self._log.is_shared else 0

    def changed(self, stream: Stream) -> None:
        """Tell the others how many this node has announced now."""
        if self._log.is_shared and not self._stopped:
            self._tell(stream.stream_id, Note(VIEWERS, self._node, count=stream.announced))

    async def greet(self, stream: Stream) -> None:
        """Begin to count a stream's viewers: ask the other nodes for theirs, before anybody here is told a number."""
        self._attended.add(stream.stream_id)
        greeting = self._greetings[stream.stream_id] = _Greeting()
        try:
            note = Note(GREETING, self._node, count=stream.announced)
            greeting.expected = await self._log.notify(stream.stream_id, encode_note(note))
            greeting.look()
            await asyncio.wait_for(greeting.is_over.wait(), GREET_SECONDS)
        except (LogUnavailableError, TimeoutError) as error:
            logger.debug("not all nodes have told of their viewers yet stream=%d: %r", stream.stream_id, error)
        finally:
            del self._greetings[stream.stream_id]

    def forget(self, stream: Stream) -> None:
        """Count a stream's viewers no more: nobody is here to be told."""
        self._attended.discard(stream.stream_id)
        self._peers.pop(stream.stream_id, None)
        self._heard_itself_at.pop(stream.stream_id, None)

    def take(self, stream: Stream, note: Note) -> None:
        """Hear of another node."""
        now = asyncio.get_running_loop().time()
        if note.id == self._node:
            self._heard_itself_at[stream.stream_id] = now
            return
        if note.kind == GREETING:
            self.changed(stream)
        peer = self._peers[stream.stream_id][note.id]
        peer.heard_at = now
        greeting = self._greetings.get(stream.stream_id)
        if greeting is None:
            self._change(stream, peer, note.count)
            return
        peer.count = note.count  # who was there before isn't announced
        greeting.heard.add(note.id)
        greeting.look()

    async def stop(self) -> None:
        """Say goodbye, for all subscribers at once: they are about to leave."""
        self._stopped = True
        if self._beat is None:
            return
        self._beat.cancel()
        for stream_id in self._attended:
            self._tell(stream_id, Note(VIEWERS, self._node))
        await asyncio.gather(*self._telling.values())

    def _tell_all(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(TELL_SECONDS, self._tell_all)
        for stream_id in self._attended:
            stream = self._streams[stream_id]
            self.changed(stream)
            # Who doesn't hear itself can't know who has gone.
            is_deaf = loop.time() - self._heard_itself_at[stream.stream_id] > 2 * TELL_SECONDS
            peers = self._peers[stream.stream_id]
            for node, peer in list(peers.items()):
                if is_deaf:
                    peer.heard_at = loop.time()
                elif loop.time() - peer.heard_at > GONE_SECONDS:
                    self._change(stream, peer, 0)
                    del peers[node]

    @staticmethod
    def _change(stream: Stream, peer: _Peer, count: int) -> None:
        step = 1 if count > peer.count else -1
        while peer.count != count:
            peer.count += step
            stream.tell_of_other("join" if step > 0 else "leave")

    def _tell(self, stream_id: int, note: Note) -> None:
        untold = self._untold[stream_id]
        untold.append(note)
        if len(untold) > MAX_UNTOLD:
            del untold[:-1]
        if stream_id not in self._telling:
            self._telling[stream_id] = asyncio.ensure_future(self._tell_in_order(stream_id))

    async def _tell_in_order(self, stream_id: int) -> None:
        untold = self._untold[stream_id]
        while untold:
            note = untold.pop(0)
            try:
                await self._log.notify(stream_id, encode_note(note))
            except LogUnavailableError as error:
                logger.debug("can't tell the other nodes stream=%d: %s", stream_id, error)
        del self._telling[stream_id]
