"""The days' secrets in the embedded log: made when first asked for, and gone for good two days later."""

from __future__ import annotations

import secrets

from inlive_banner.channel.logs.sqlite_file import BUSY_SECONDS, SqliteFile

__all__ = ["DailySecrets"]

SECRET_BYTES = 32

_IS_OLD = "day NOT BETWEEN ? - 1 AND ? + 1"
"""Neither yesterday's, nor today's, nor one of a clock that is a little ahead."""


class DailySecrets:
    """Blocking access to the secrets in a log's file, for the one thread that writes to it."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._left_over = True
        """Whether the write-ahead log may still have a secret that was deleted; the last process may have left one."""

    def get_or_create(self, day: int) -> bytes:
        """The secret of a day (days since 1970), durable. Raises `LogUnavailableError`."""
        with self._file.writing() as db:
            # One statement, and so one transaction.
            db.execute("INSERT OR IGNORE INTO daily_secret VALUES (?, ?)", (day, secrets.token_bytes(SECRET_BYTES)))
            secret: bytes = db.execute("SELECT secret FROM daily_secret WHERE day = ?", (day,)).fetchone()[0]
            return secret

    def forget(self, today: int) -> None:
        """Delete the secrets of days before yesterday. Raises `LogUnavailableError`.

        Of what is deleted nothing stays on disk: it is overwritten in the file
        (https://www.sqlite.org/pragma.html#pragma_secure_delete), and the write-ahead log, which still has it, is
        emptied: if somebody reads just now, the next time.
        """
        with self._file.writing() as db:
            if db.execute(f"SELECT 1 FROM daily_secret WHERE {_IS_OLD}", (today, today)).fetchone():  # noqa: S608
                self._left_over = True
                before: int = db.execute("PRAGMA secure_delete").fetchone()[0]  # some systems' SQLite always does it
                db.execute("PRAGMA secure_delete = ON")
                try:
                    db.execute(f"DELETE FROM daily_secret WHERE {_IS_OLD}", (today, today))  # noqa: S608
                finally:
                    # Not for the entries: it would add to what trimming writes.
                    db.execute(f"PRAGMA secure_delete = {before}")
            if self._left_over:
                # Without waiting for readers, because publishes would wait as well.
                db.execute("PRAGMA busy_timeout = 0")
                try:
                    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    db.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
                self._left_over = bool(busy)
