"""The embedded log's file: one SQLite database of its own, written by one process.

It isn't the site's database, so that a click is safe while that one is down. `synchronous=FULL` in WAL mode
makes each commit durable (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from inlive_banner.channel.logs.base import Appended, Bounds, Draft, Entry
from inlive_banner.channel.logs.ownership import Ownership
from inlive_banner.channel.logs.sqlite_faults import translated
from inlive_banner.channel.logs.sqlite_schema import prepare
from inlive_banner.exceptions import LogBusyError, LogUnavailableError

__all__ = ["SqliteFile"]

logger = logging.getLogger(__name__)

ENTRY_BYTES = 200
"""Of an entry besides its body, generously: its key and its place in the index."""

BUSY_SECONDS = 5.0
"""How long another program's lock is waited for."""

TRIM_ENTRIES = 1000
"""Entries in one step of trimming: short enough that publishes hardly wait."""

_INSERT = "INSERT INTO entry (stream_id, seq, received_at, publish_id, body) VALUES (?, ?, ?, ?, ?)"


class SqliteFile:
    """Blocking access to the file. Writing methods belong to one thread; each reading thread opens a connection."""

    def __init__(self, path: Path, *, max_bytes: int, new_epoch: bool = False) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._new_epoch = new_epoch
        self._ownership = Ownership(path)
        self._is_open = False
        self._room_bytes = 0
        self._bounds: dict[int, Bounds] = {}

    def open(self, stream_ids: Sequence[int]) -> None:
        """Take ownership, create what is missing, read where each stream stands.

        Waits a few seconds for another owner to end. Raises `LogOwnedError`, `LogUnavailableError`.
        """
        self._ownership.take()
        with contextlib.ExitStack() as undo:
            undo.callback(self._ownership.release)
            with translated(self.path):
                self._db = self.connect()
                undo.callback(self._db.close)
                self._page_bytes = prepare(self._db)
                self._place = self._find()
                # One transaction: a start that fails leaves no epoch behind in some streams only.
                with self._transaction():
                    continued = not self._new_epoch and self._life() == self._ownership.life
                    for stream_id in stream_ids:
                        self._bounds[stream_id] = self._load(stream_id, continued=continued)
                    self._begin_life()
            undo.pop_all()
        if not continued and any(bounds.head for bounds in self._bounds.values()):
            logger.warning(
                "the log begins a new epoch, because %s: %s",
                "it was asked to" if self._new_epoch else "its file isn't the one that its last owner left",
                ", ".join(f"stream {stream_id} from {bounds.head + 1}" for stream_id, bounds in self._bounds.items()),
            )
        self._is_open = True

    def connect(self) -> sqlite3.Connection:
        """A connection for the calling thread. Transactions are begun and ended by hand.

        Raises `LogUnavailableError`, for example where the process has no file descriptor left.
        """
        with translated(self.path):
            return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)

    def bounds(self, stream_id: int) -> Bounds:
        """What is held of a stream, as of the last commit."""
        return self._bounds[stream_id]

    def append(self, drafts: Sequence[Draft]) -> list[Appended]:
        """Store drafts in one durable transaction; repeated publish ids are answered with their first entry.

        Raises `LogBusyError` at the size limit, `LogUnavailableError` on any fault; then nothing was stored.
        """
        with self.writing():
            self._take_room(drafts)
            try:
                return self._append_new(drafts)
            except sqlite3.IntegrityError:
                # Some publish id is here already. Rare (a retry), so only then each one is looked up.
                return self._append_checked(drafts)

    def find(self, drafts: Sequence[Draft]) -> list[Appended | None]:
        """The first entry of each draft's publish id; None where there is none. Raises `LogUnavailableError`."""
        with translated(self.path):
            return [self._first(draft) for draft in drafts]

    def read_after(
        self, db: sqlite3.Connection, stream_id: int, seq: int, *, limit: int, max_bytes: int
    ) -> list[Entry]:
        """Entries after `seq`, in one short read transaction (a long one would let the WAL grow)."""
        with translated(self.path):
            rows = db.execute(
                "SELECT seq, body FROM entry WHERE stream_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (stream_id, seq, limit),
            )
            return self._take(stream_id, rows, max_bytes)

    def read_newest(self, db: sqlite3.Connection, stream_id: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The newest entries, oldest first."""
        with translated(self.path):
            rows = db.execute(
                "SELECT seq, body FROM entry WHERE stream_id = ? ORDER BY seq DESC LIMIT ?", (stream_id, limit)
            )
            return self._take(stream_id, rows, max_bytes)[::-1]

    def trim(self, stream_id: int, *, before: int) -> int:
        """Delete the oldest entries that came before a time (Unix ms); one step. Returns how many."""
        with self.writing():
            bounds = self._bounds[stream_id]
            # The first entry that is young enough ends the run: a clock that was set back may have left older
            # ones behind it, and deleting those would make a hole.
            row = self._db.execute(
                "SELECT min(seq) FROM (SELECT seq, received_at FROM entry WHERE stream_id = ? ORDER BY seq LIMIT ?)"
                " WHERE received_at >= ?",
                (stream_id, TRIM_ENTRIES, before),
            ).fetchone()
            oldest = row[0] if row[0] is not None else min(bounds.oldest + TRIM_ENTRIES, bounds.head + 1)
            if oldest <= bounds.oldest:
                return 0
            with self._transaction():
                self._db.execute("DELETE FROM entry WHERE stream_id = ? AND seq < ?", (stream_id, oldest))
                self._db.execute(
                    "INSERT INTO trimmed VALUES (?, ?) ON CONFLICT (stream_id) DO UPDATE SET seq = excluded.seq",
                    (stream_id, oldest - 1),
                )
            self._bounds[stream_id] = Bounds(bounds.epochs, oldest, bounds.head)
            return oldest - bounds.oldest

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writing thread's connection, once the file is seen to be there. Raises `LogUnavailableError`."""
        with translated(self.path):
            self._check_place()
            yield self._db

    def close(self) -> None:
        """Close the file and give up ownership; does nothing where that is done. Raises nothing of a failing disk."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            with translated(self.path):
                # A backup taken while this life lasted is then known as one, if it is ever put back.
                self._begin_life()
        except LogUnavailableError as error:
            # Everything that was answered is durable already; only such a backup may go unnoticed.
            logger.warning("can't note the end of the log's life: %s", error)
        finally:
            self._db.close()
            self._ownership.release()

    def _load(self, stream_id: int, *, continued: bool) -> Bounds:
        epochs = dict(
            self._db.execute("SELECT first_seq, epoch FROM epoch WHERE stream_id = ? ORDER BY first_seq", (stream_id,))
        )
        oldest, newest = self._db.execute(
            "SELECT min(seq), max(seq) FROM entry WHERE stream_id = ?", (stream_id,)
        ).fetchone()
        trimmed = self._db.execute("SELECT seq FROM trimmed WHERE stream_id = ?", (stream_id,)).fetchone()
        head = newest or (trimmed[0] if trimmed else 0)
        if not epochs or not continued:
            # The file isn't the one that its last owner left: numbers after the head may have been given out already.
            epochs[head + 1] = secrets.token_hex(6)
            self._db.execute("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?)", (stream_id, head + 1, epochs[head + 1]))
        return Bounds(tuple(epochs.items()), oldest or head + 1, head)

    def _life(self) -> str:
        row = self._db.execute("SELECT name FROM life").fetchone()
        return row[0] if row else secrets.token_hex(6)

    def _begin_life(self) -> None:
        """Name the file's present life, here and beside it, so that an older copy put in its place is noticed.

        Not for certain: a copy of the same life isn't, where the process was killed after it was taken.
        """
        life = secrets.token_hex(6)
        self._db.execute("INSERT OR REPLACE INTO life VALUES (1, ?)", (life,))
        self._ownership.note(life)

    def _append_new(self, drafts: Sequence[Draft]) -> list[Appended]:
        heads: dict[int, int] = {}
        rows = []
        appended = []
        for draft in drafts:
            bounds = self._bounds[draft.stream_id]
            seq = heads[draft.stream_id] = heads.get(draft.stream_id, bounds.head) + 1
            rows.append((draft.stream_id, seq, draft.received_at, draft.publish_id, draft.body))
            appended.append(Appended(bounds.event_id(seq), draft.received_at, duplicate=False))
        with self._transaction():
            self._db.executemany(_INSERT, rows)
        self._move(heads)
        return appended

    def _append_checked(self, drafts: Sequence[Draft]) -> list[Appended]:
        heads: dict[int, int] = {}
        appended = []
        with self._transaction():
            for draft in drafts:
                bounds = self._bounds[draft.stream_id]
                if (first := self._first(draft)) is not None:
                    appended.append(first)
                    continue
                seq = heads[draft.stream_id] = heads.get(draft.stream_id, bounds.head) + 1
                self._db.execute(_INSERT, (draft.stream_id, seq, draft.received_at, draft.publish_id, draft.body))
                appended.append(Appended(bounds.event_id(seq), draft.received_at, duplicate=False))
        self._move(heads)
        return appended

    def _first(self, draft: Draft) -> Appended | None:
        found = self._db.execute(
            "SELECT seq, received_at FROM entry WHERE stream_id = ? AND publish_id = ?",
            (draft.stream_id, draft.publish_id),
        ).fetchone()
        if found is None:
            return None
        return Appended(self._bounds[draft.stream_id].event_id(found[0]), found[1], duplicate=True)

    def _move(self, heads: dict[int, int]) -> None:
        for stream_id, head in heads.items():
            bounds = self._bounds[stream_id]
            self._bounds[stream_id] = Bounds(bounds.epochs, bounds.oldest, head)

    def _take(self, stream_id: int, rows: Iterator[tuple[int, bytes]], max_bytes: int) -> list[Entry]:
        event_id = self._bounds[stream_id].event_id
        entries: list[Entry] = []
        taken = 0
        for seq, body in rows:
            taken += len(body)
            if taken > max_bytes and entries:
                break
            entries.append(Entry(event_id(seq), body))
        return entries

    def _find(self) -> tuple[int, int]:
        there = self.path.stat()
        return there.st_dev, there.st_ino

    def _check_place(self) -> None:
        """See that the file still is where it was opened. Else what is stored would be gone with this process."""
        try:
            replaced = self._find() != self._place
        except FileNotFoundError:
            replaced = True
        if replaced:
            raise LogUnavailableError(
                f"The log {str(self.path)!r} was moved, deleted or replaced while in use. "
                "Put it back, or start the channel again."
            )

    def _take_room(self, drafts: Sequence[Draft]) -> None:
        """See that the file is below its limit. It is measured only where the room found last is used up."""
        needed = sum(2 * len(draft.body) + ENTRY_BYTES for draft in drafts)
        if needed > self._room_bytes:
            self._room_bytes = self._max_bytes - self._size()
            if self._room_bytes <= 0:
                raise LogBusyError(f"The channel's log is at its size limit of {self._max_bytes} bytes.")
        self._room_bytes -= needed

    def _size(self) -> int:
        """Bytes in use; pages that trimming has freed are used again before the file grows."""
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return (pages - free) * self._page_bytes

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have rolled back already
                self._db.execute("ROLLBACK")
            raise
