"""What the embedded log's file is made of: its tables, and how SQLite is to keep them."""

from __future__ import annotations

import sqlite3

__all__ = ["prepare"]

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
CREATE TABLE IF NOT EXISTS daily_secret (
    day INTEGER PRIMARY KEY, secret BLOB NOT NULL
);
"""


def prepare(db: sqlite3.Connection) -> int:
    """Make what is missing, and the connection durable. Returns the bytes of a page. Raises `sqlite3.Error`."""
    for pragma in _PRAGMAS:
        db.execute(f"PRAGMA {pragma}")
    db.executescript(_SCHEMA)
    page_bytes: int = db.execute("PRAGMA page_size").fetchone()[0]
    return page_bytes
