"""The embedded log's file: one SQLite database of its own, written by one process.

It isn't the site's database, so that a click is safe while that one is down. `synchronous=FULL` in WAL mode
makes each commit durable (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from inlive_banner.channel.logs.base import Appended, Bounds, Draft, Entry
from inlive_banner.channel.logs.ownership import Ownership
from inlive_banner.exceptions import LogBusyError, LogOwnedError, LogUnavailableError

__all__ = ["SqliteFile"]

ENTRY_BYTES = 200
"""Of an entry besides its body, generously: its key and its place in the index."""

TRIM_ENTRIES = 1000
"""Entries in one step of trimming: short enough that publishes hardly wait."""

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    # Pages of 4 KiB between two checkpoints: a third of the default's processor time for a lone publish, and a WAL
    # file of 16 MiB, which the limit below keeps from staying as large as the largest burst ever made it.
    "wal_autocheckpoint = 4000",
    "journal_size_limit = 16777216",
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS life (
    id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS epoch (
    stream_id INTEGER NOT NULL, first_seq INTEGER NOT NULL, epoch TEXT NOT NULL,
    PRIMARY KEY (stream_id, first_seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trimmed (
    stream_id INTEGER PRIMARY KEY, seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    stream_id INTEGER NOT NULL, seq INTEGER NOT NULL, received_at INTEGER NOT NULL,
    publish_id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (stream_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS entry_publish_id ON entry (stream_id, publish_id);
"""
_INSERT = "INSERT INTO entry (stream_id, seq, received_at, publish_id, body) VALUES (?, ?, ?, ?, ?)"


class SqliteFile:
    """Blocking access to the file. Writing methods belong to one thread; each reading thread opens a connection."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._ownership = Ownership(path)
        self._is_open = False
        self._room_bytes = 0
        self._bounds: dict[int, Bounds] = {}

    def open(self, stream_ids: Sequence[int]) -> None:
        """Take ownership, create what is missing, read where each stream stands.

        Waits a few seconds for another owner to end. Raises `LogOwnedError`, `LogUnavailableError`.
        """
        folder = self.path.parent
        if not folder.is_dir():
            raise LogUnavailableError(
                f"There is no folder {str(folder)!r} for the log. Make it, or change CHANNEL_LOG."
            )
        try:
            self._ownership.take()
        except LogOwnedError:
            raise
        except OSError as error:
            raise LogUnavailableError(
                f"{str(folder)!r} can't hold the log ({error.strerror}). Change its owner, or CHANNEL_LOG."
            ) from error
        with contextlib.ExitStack() as undo:
            undo.callback(self._ownership.release)
            with _translated(self.path):
                self._db = self.connect()
                undo.callback(self._db.close)
                for pragma in _PRAGMAS:
                    self._db.execute(f"PRAGMA {pragma}")
                self._page_bytes: int = self._db.execute("PRAGMA page_size").fetchone()[0]
                self._db.executescript(_SCHEMA)
                continued = self._life() == self._ownership.life
                for stream_id in stream_ids:
                    self._bounds[stream_id] = self._load(stream_id, continued=continued)
                self._begin_life()
            undo.pop_all()
        self._is_open = True

    def connect(self) -> sqlite3.Connection:
        """A connection for the calling thread. Transactions are begun and ended by hand."""
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)

    def bounds(self, stream_id: int) -> Bounds:
        """What is held of a stream, as of the last commit."""
        return self._bounds[stream_id]

    def append(self, drafts: Sequence[Draft]) -> list[Appended]:
        """Store drafts in one durable transaction; repeated publish ids are answered with their first entry.

        Raises `LogBusyError` at the size limit, `LogUnavailableError` on any fault; then nothing was stored.
        """
        with _translated(self.path):
            self._take_room(drafts)
            try:
                return self._append_new(drafts)
            except sqlite3.IntegrityError:
                # Some publish id is here already. Rare (a retry), so only then each one is looked up.
                return self._append_checked(drafts)

    def read_after(
        self, db: sqlite3.Connection, stream_id: int, seq: int, *, limit: int, max_bytes: int
    ) -> list[Entry]:
        """Entries after `seq`, in one short read transaction (a long one would let the WAL grow)."""
        with _translated(self.path):
            rows = db.execute(
                "SELECT seq, body FROM entry WHERE stream_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (stream_id, seq, limit),
            )
            return self._take(stream_id, rows, max_bytes)

    def read_newest(self, db: sqlite3.Connection, stream_id: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The newest entries, oldest first."""
        with _translated(self.path):
            rows = db.execute(
                "SELECT seq, body FROM entry WHERE stream_id = ? ORDER BY seq DESC LIMIT ?", (stream_id, limit)
            )
            return self._take(stream_id, rows, max_bytes)[::-1]

    def trim(self, stream_id: int, *, before: int) -> int:
        """Delete the oldest entries that came before a time (Unix ms); one step. Returns how many."""
        with _translated(self.path):
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

    def close(self) -> None:
        """Close the file and give up ownership; does nothing where that is done."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            with _translated(self.path):
                # A backup taken while this life lasted is then known as one, if it is ever put back.
                self._begin_life()
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
                known = self._db.execute(
                    "SELECT seq, received_at FROM entry WHERE stream_id = ? AND publish_id = ?",
                    (draft.stream_id, draft.publish_id),
                ).fetchone()
                if known:
                    appended.append(Appended(bounds.event_id(known[0]), known[1], duplicate=True))
                    continue
                seq = heads[draft.stream_id] = heads.get(draft.stream_id, bounds.head) + 1
                self._db.execute(_INSERT, (draft.stream_id, seq, draft.received_at, draft.publish_id, draft.body))
                appended.append(Appended(bounds.event_id(seq), draft.received_at, duplicate=False))
        self._move(heads)
        return appended

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


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn faults of SQLite and the disk into the log's; let a broken unique constraint pass, for `append`."""
    try:
        yield
    except (sqlite3.IntegrityError, LogUnavailableError):
        raise
    except (sqlite3.Error, OSError) as error:
        raise LogUnavailableError(f"The log {str(path)!r} can't be used now: {error}.") from error
