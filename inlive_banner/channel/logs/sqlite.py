"""The embedded log: group commit on one SQLite file.

One thread commits. Everything that has come while the last commit ran is the next transaction, so the cost of
making data durable is shared by however many publish at once. Reads go through a small pool of threads.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from inlive_banner.channel.logs.base import Appended, Bounds, Draft, Entry, OnCommit, OnNote, OnReset
from inlive_banner.channel.logs.sqlite_file import SqliteFile
from inlive_banner.channel.logs.sqlite_secrets import DailySecrets
from inlive_banner.exceptions import LogBusyError, LogError, LogUnavailableError

__all__ = ["SqliteLog"]

logger = logging.getLogger(__name__)

MAX_BATCH = 2048
"""Drafts in one transaction: keeps a single commit, and so the wait for it, short."""
MAX_PENDING = 20_000
"""Drafts that may wait for a commit. Beyond, publishers are told to come back, so memory stays bounded."""
READ_THREADS = 2
TRIM_INTERVAL_SECONDS = 10.0

DAY_SECONDS = 24 * 3600

_Pending = tuple[Draft, "asyncio.Future[Appended]"]
_Asked = tuple[int, "asyncio.Future[bytes]"]
"""A day whose secret somebody waits for. It goes the drafts' way, because one thread alone writes to the file."""


class SqliteLog:
    """A `Log` on one file, owned by this process."""

    is_shared = False

    def __init__(self, path: Path, *, max_bytes: int, retention_seconds: float, new_epoch: bool = False) -> None:
        self._file = SqliteFile(path, max_bytes=max_bytes, new_epoch=new_epoch)
        self._secrets = DailySecrets(self._file)
        self._retention_seconds = retention_seconds
        self._queue: queue.SimpleQueue[_Pending | _Asked | None] = queue.SimpleQueue()
        self._pending = 0
        self._closed = False
        self._refusing = False
        self._bounds: dict[int, Bounds] = {}
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def open(
        self,
        stream_ids: Sequence[int],
        on_commit: OnCommit,
        on_reset: OnReset | None = None,  # noqa: ARG002  (the file is this process's own: it never loses anything)
        on_note: OnNote | None = None,  # noqa: ARG002  (and there is no other node)
    ) -> None:
        """Take the file and start the threads. Raises `LogUnavailableError`, `LogOwnedError`."""
        self._loop = asyncio.get_running_loop()
        self._on_commit = on_commit
        await self._loop.run_in_executor(None, self._file.open, stream_ids)
        self._bounds = {stream_id: self._file.bounds(stream_id) for stream_id in stream_ids}
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="inlive-log-read")
        self._committer = threading.Thread(target=self._commit_loop, name="inlive-log-commit", daemon=True)
        self._committer.start()

    async def append(self, draft: Draft) -> Appended:
        """Store a broadcast; returns when it is durable. Raises `LogUnavailableError`."""
        if self._closed:
            raise LogUnavailableError("The channel is shutting down.")
        if self._pending >= MAX_PENDING:
            raise LogBusyError(f"{self._pending} publishes are waiting for the log.")
        future: asyncio.Future[Appended] = self._loop.create_future()
        self._pending += 1
        self._queue.put((draft, future))
        return await future

    async def read_after(self, stream_id: int, seq: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The entries after a number, oldest first. Raises `LogUnavailableError`."""
        return await self._read(lambda db: self._file.read_after(db, stream_id, seq, limit=limit, max_bytes=max_bytes))

    async def read_newest(self, stream_id: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The newest entries, oldest first. Raises `LogUnavailableError`."""
        return await self._read(lambda db: self._file.read_newest(db, stream_id, limit=limit, max_bytes=max_bytes))

    async def daily_secret(self, day: int) -> bytes:
        """The secret of a UTC day (days since 1970), made durable. Raises `LogUnavailableError`."""
        if self._closed:
            raise LogUnavailableError("The channel is shutting down.")
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._queue.put((day, future))
        return await future

    async def refresh(self, stream_id: int, last_event_id: str, *, to_newest: bool = False) -> None:
        """No other node appends to the file."""

    async def attend(self, stream_id: int) -> bool:  # noqa: ARG002  (what a shared log needs to know)
        """Everything is fanned out, always."""
        return False

    def leave(self, stream_id: int) -> None:
        """As `attend`."""

    async def notify(self, stream_id: int, note: bytes) -> int:  # noqa: ARG002  (as above)
        """There is nobody to tell."""
        return 0

    def bounds(self, stream_id: int) -> Bounds:
        """What the log holds of a stream, as far as the event loop has been told."""
        return self._bounds[stream_id]

    async def close(self) -> None:
        """Commit what was accepted, end the threads, give up the file."""
        self._closed = True
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._committer.join)
        await self._loop.run_in_executor(None, self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        await self._loop.run_in_executor(None, self._file.close)

    async def _read(self, read: Callable[[sqlite3.Connection], list[Entry]]) -> list[Entry]:
        return await self._loop.run_in_executor(self._readers, lambda: read(self._reader()))

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._file.connect()
            self._connections.append(connection)
        return connection

    def _commit_loop(self) -> None:
        """The committing thread: the only one that writes to the file."""
        trim_at = time.monotonic()
        while True:
            batch, last = self._next_batch(timeout_seconds=max(0.0, trim_at - time.monotonic()))
            if batch:
                self._commit(batch)
            if last:
                return
            if time.monotonic() >= trim_at:
                trim_at = time.monotonic() + (0.0 if self._trim() else TRIM_INTERVAL_SECONDS)
                self._forget_secrets()

    def _next_batch(self, *, timeout_seconds: float) -> tuple[list[_Pending], bool]:
        """All that waits, and whether the log is to be closed after it."""
        batch: list[_Pending] = []
        try:
            item = self._queue.get(timeout=timeout_seconds)
            while item is not None:
                if isinstance(item[0], int):
                    self._give_secret(item[0], item[1])
                else:
                    batch.append(item)
                if len(batch) >= MAX_BATCH:
                    return batch, False
                item = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _commit(self, batch: list[_Pending]) -> None:
        try:
            appended = self._file.append([draft for draft, _ in batch])
        except LogError as error:
            self._note_refusal(error)
            if isinstance(error, LogBusyError):
                self._refuse_new(batch, error)
            else:
                self._call_loop(self._fail, batch, error)
        except BaseException as error:
            # Unforeseen: whoever waits must still be told, or their requests would hang.
            logger.exception("the log's committing thread failed publishes=%d", len(batch))
            self._call_loop(self._fail, batch, LogUnavailableError(f"The log failed: {error!r}."))
        else:
            self._note_refusal(None)
            self._call_loop(self._finish, batch, appended)

    def _note_refusal(self, error: LogError | None) -> None:
        """One line when the log begins to refuse, and one when it takes again: a full disk gets no line for each."""
        if error is not None and not self._refusing:
            logger.warning("publishes are refused until this is over: %s", error)
        elif error is None and self._refusing:
            logger.warning("publishes are taken again")
        self._refusing = error is not None

    def _refuse_new(self, batch: list[_Pending], error: LogError) -> None:
        """Answer what is stored already; the log has no room for the rest."""
        try:
            found = self._file.find([draft for draft, _ in batch])
        except LogError:
            found = [None] * len(batch)
        known = [(pending, first) for pending, first in zip(batch, found, strict=True) if first is not None]
        if known:
            self._call_loop(self._finish, [pending for pending, _ in known], [first for _, first in known])
        new = [pending for pending, first in zip(batch, found, strict=True) if first is None]
        self._call_loop(self._fail, new, error)

    def _give_secret(self, day: int, future: asyncio.Future[bytes]) -> None:
        try:
            secret = self._secrets.get_or_create(day)
        except LogError as error:
            self._call_loop(_settle, future, None, error)
        except Exception as error:
            # Unforeseen; but if this thread ended, every publish would hang.
            logger.exception("can't make the day's secret")
            self._call_loop(_settle, future, None, LogUnavailableError(f"The log failed unforeseen: {error}."))
        else:
            self._call_loop(_settle, future, secret, None)

    def _forget_secrets(self) -> None:
        try:
            self._secrets.forget(int(time.time() // DAY_SECONDS))
        except LogError as error:
            logger.warning("can't forget an old secret now: %s", error)
        except Exception:
            # As above.
            logger.exception("can't forget an old secret now")

    def _trim(self) -> bool:
        """One step of trimming for each stream; True where there may be more to trim."""
        before = int((time.time() - self._retention_seconds) * 1000)
        more = False
        for stream_id in self._bounds:
            try:
                trimmed = self._file.trim(stream_id, before=before)
            except LogError as error:
                logger.warning("can't trim the log stream=%s: %s", stream_id, error)
                continue
            except Exception:
                # Unforeseen; but if this thread ended, every publish would hang.
                logger.exception("can't trim the log stream=%s", stream_id)
                continue
            if trimmed:
                more = True
                self._call_loop(self._trimmed, stream_id, self._file.bounds(stream_id).oldest)
        return more

    def _call_loop(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop has ended without closing the log: nobody waits any more
            logger.debug("the event loop is gone")

    def _trimmed(self, stream_id: int, oldest: int) -> None:
        bounds = self._bounds[stream_id]
        self._bounds[stream_id] = Bounds(bounds.epochs, oldest, bounds.head)

    def _finish(self, batch: list[_Pending], appended: list[Appended]) -> None:
        """On the event loop: tell the hub first, then those who wait: appended before fanned out before answered."""
        self._pending -= len(batch)
        stored = [
            (draft.stream_id, Entry(place.event_id, draft.body))
            for (draft, _), place in zip(batch, appended, strict=True)
            if not place.duplicate
        ]
        if len(self._bounds) > 1:
            stored.sort(key=_stream_of)  # stable: the order within a stream stays
        for stream_id, group in groupby(stored, key=_stream_of):
            entries = [entry for _, entry in group]
            bounds = self._bounds[stream_id]
            self._bounds[stream_id] = Bounds(bounds.epochs, bounds.oldest, entries[-1].event_id.seq)
            self._on_commit(stream_id, entries)
        for (_, future), place in zip(batch, appended, strict=True):
            if not future.done():  # a publisher that has hung up has cancelled it
                future.set_result(place)

    def _fail(self, batch: list[_Pending], error: LogError) -> None:
        self._pending -= len(batch)
        for _, future in batch:
            if not future.done():
                future.set_exception(error)


def _settle(future: asyncio.Future[bytes], secret: bytes | None, error: LogError | None) -> None:
    """On the event loop: end somebody's waiting, if they still wait."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(secret or b"")


def _stream_of(stored: tuple[int, Entry]) -> int:
    return stored[0]
