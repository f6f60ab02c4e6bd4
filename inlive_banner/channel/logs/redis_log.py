"""The log that several nodes share, on Redis or Valkey.

Any node appends; what others append it is woken for, and reads by range. Where a wake-up is lost, it looks for itself
every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from typing import Any

from inlive_banner.channel.logs.base import Appended, Bounds, Draft, Entry, OnCommit, OnNote, OnReset
from inlive_banner.channel.logs.redis_engine import Engine, end_tasks
from inlive_banner.channel.logs.redis_stream import RedisStream
from inlive_banner.exceptions import LogBusyError, LogError, LogUnavailableError

__all__ = ["RedisLog"]

logger = logging.getLogger(__name__)

MAX_BATCH = 512
"""Drafts that one script appends: the engine does nothing else meanwhile."""
MAX_PENDING = 20_000
"""Drafts that may wait. Beyond, publishers are told to come back, so memory stays bounded."""
RETRY_FOR_SECONDS = 5.0
"""How long an append whose outcome is unknown is tried again, which its publish ids make harmless."""
RETRY_SECONDS = 0.2
CHECK_SECONDS = 5.0
"""Between two looks at what others have appended: a lost wake-up costs no more."""
TRIM_SECONDS = 10.0
TRIM_ENTRIES = 500
DAY_SECONDS = 24 * 3600
SECRET_SECONDS = 60
"""So long stays the secret of a day that is over."""

_Pending = tuple[Draft, "asyncio.Future[Appended]"]


class RedisLog:
    """A `Log` on an engine that other nodes may use at the same time."""

    is_shared = True

    def __init__(self, url: str, *, max_bytes: int, retention_seconds: float, new_epoch: bool = False) -> None:
        """Connects to nothing yet. Raises `ConfigurationError` where the address isn't one."""
        self._engine = Engine(url)
        self._max_bytes = max_bytes
        self._retention_seconds = retention_seconds
        self._new_epoch = new_epoch
        self._streams: dict[int, RedisStream] = {}
        self._queues: dict[int, deque[_Pending]] = defaultdict(deque)
        self._committers: dict[int, asyncio.Task[None]] = {}
        self._pending = 0
        self._closed = False
        self._refusing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._secrets: dict[int, bytes] = {}

    async def open(
        self,
        stream_ids: Sequence[int],
        on_commit: OnCommit,
        on_reset: OnReset | None = None,
        on_note: OnNote | None = None,
    ) -> None:
        """Connect and begin. Raises `LogUnavailableError`, `ConfigurationError`."""
        await self._engine.open()
        for stream_id in stream_ids:
            stream = RedisStream(
                self._engine,
                stream_id,
                on_commit=on_commit,
                on_reset=on_reset or _nobody_to_tell,
                on_note=on_note or _nobody_to_tell,
            )
            await stream.begin(new_epoch=self._new_epoch)
            self._streams[stream_id] = stream
        self._tasks = [asyncio.ensure_future(self._check()), asyncio.ensure_future(self._trim())]

    async def append(self, draft: Draft) -> Appended:
        """Store a broadcast; returns when the engine has it. Raises `LogUnavailableError`."""
        if self._closed:
            raise LogUnavailableError("The channel is shutting down.")
        if self._pending >= MAX_PENDING:
            raise LogBusyError(f"{self._pending} publishes are waiting for the log.")
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._pending += 1
        self._queues[draft.stream_id].append((draft, future))
        if draft.stream_id not in self._committers:
            self._committers[draft.stream_id] = asyncio.ensure_future(self._commit(draft.stream_id))
        return await future

    async def read_after(self, stream_id: int, seq: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The entries after a number, oldest first. Raises `LogUnavailableError`."""
        return await self._streams[stream_id].read_after(seq, limit=limit, max_bytes=max_bytes)

    async def read_newest(self, stream_id: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The newest entries, oldest first. Raises `LogUnavailableError`."""
        return await self._streams[stream_id].read_newest(limit=limit, max_bytes=max_bytes)

    async def daily_secret(self, day: int) -> bytes:
        """The secret of a UTC day (days since 1970). Raises `LogUnavailableError`."""
        if self._closed:
            raise LogUnavailableError("The channel is shutting down.")
        if day not in self._secrets:
            left = int((day + 2) * DAY_SECONDS - time.time())
            key, made = f"{self._engine.prefix}:secret:{day}", secrets.token_bytes(32)
            self._secrets = {day: await self._engine.get_or_set(key, made, seconds=max(left, SECRET_SECONDS))}
        return self._secrets[day]

    async def refresh(self, stream_id: int, last_event_id: str, *, to_newest: bool = False) -> None:
        """Read what other nodes have appended, where a client has seen more than this one. Raises as `read_after`."""
        stream = self._streams[stream_id]
        if to_newest or not stream.knows(last_event_id):
            await stream.follow()

    async def attend(self, stream_id: int) -> bool:
        """Fan out a stream from now on, and hear notes; True where that begins only now. Raises as `read_after`."""
        return await self._streams[stream_id].attend()

    def leave(self, stream_id: int) -> None:
        """Fan out a stream no more."""
        self._streams[stream_id].leave()

    async def notify(self, stream_id: int, note: bytes) -> int:
        """Tell the other nodes that attend the stream; how many they are. Raises `LogUnavailableError`."""
        return await self._streams[stream_id].notify(note)

    def bounds(self, stream_id: int) -> Bounds:
        """What the log holds of a stream, as far as this node has fanned it out; old where it isn't attended."""
        return self._streams[stream_id].bounds

    async def close(self) -> None:
        """Append what was accepted, and let the engine go."""
        self._closed = True
        await end_tasks(self._tasks)
        await asyncio.gather(*self._committers.values())
        await self._engine.close()

    async def _commit(self, stream_id: int) -> None:
        """Append all that waits, and next, together, all that has come meanwhile."""
        queue = self._queues[stream_id]
        while queue:
            batch = [queue.popleft() for _ in range(min(len(queue), MAX_BATCH))]
            try:
                places = await self._persist(self._streams[stream_id], [draft for draft, _ in batch])
            except LogError as error:
                self._settle(batch, [error] * len(batch))
            except Exception as error:
                # Unforeseen: whoever waits must still be told, or their requests would hang.
                logger.exception("can't append stream=%d publishes=%d", stream_id, len(batch))
                self._settle(batch, [LogUnavailableError(f"The log failed unforeseen: {error!r}.")] * len(batch))
            else:
                full = LogBusyError(f"The channel's log is at its size limit of {self._max_bytes} bytes.")
                self._settle(batch, [place or full for place in places])
        del self._committers[stream_id]

    async def _persist(self, stream: RedisStream, drafts: list[Draft]) -> list[Appended | None]:
        """Append; again and again where nobody knows what has become of it."""
        deadline = time.monotonic() + RETRY_FOR_SECONDS
        tried = False
        while True:
            try:
                places = await stream.append(drafts, max_bytes=self._max_bytes)
            except LogUnavailableError:
                if time.monotonic() >= deadline or self._closed:
                    raise
                tried = True
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if tried:
                    # What an attempt without an answer has stored, this one takes for a repeat: it is to be fanned out.
                    await stream.follow()
                return places

    def _settle(self, batch: list[_Pending], places: Sequence[Appended | LogError]) -> None:
        self._pending -= len(batch)
        refused = next((place for place in places if isinstance(place, LogError)), None)
        # One line when the log begins to refuse, and one when it takes again.
        if refused is not None and not self._refusing:
            logger.warning("publishes are refused until this is over: %s", refused)
        elif refused is None and self._refusing:
            logger.warning("publishes are taken again")
        self._refusing = refused is not None
        for (_, future), place in zip(batch, places, strict=True):
            if future.done():  # a publisher that has hung up has cancelled it
                continue
            if isinstance(place, LogError):
                future.set_exception(place)
            else:
                future.set_result(place)

    async def _check(self) -> None:
        while not self._closed:
            await asyncio.sleep(CHECK_SECONDS)
            for stream in self._streams.values():
                await _tried(stream.follow(), "can't look for what other nodes have appended")

    async def _trim(self) -> None:
        while not self._closed:
            for stream in self._streams.values():
                await _tried(self._trim_stream(stream), "can't trim the log")
            await asyncio.sleep(TRIM_SECONDS)

    async def _trim_stream(self, stream: RedisStream) -> None:
        before = int((time.time() - self._retention_seconds) * 1000)
        while await stream.trim(before=before, limit=TRIM_ENTRIES):
            pass


async def _tried(attempt: Coroutine[Any, Any, None], words: str) -> None:
    try:
        await attempt
    except LogError as error:
        logger.debug("%s: %s", words, error)
    except Exception:
        # Unforeseen; but whoever tries must go on.
        logger.exception(words)


def _nobody_to_tell(stream_id: int, note: bytes = b"") -> None:
    """For a log that nobody follows."""
