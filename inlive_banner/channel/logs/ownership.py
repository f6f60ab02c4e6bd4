"""One process owns a log's file, and can tell whether the file is still the one that it left."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from inlive_banner.exceptions import LogOwnedError, LogUnavailableError

__all__ = ["Ownership"]

WAIT_SECONDS = 5.0
"""How long a new owner waits for the last one to let go, so that a rolling restart works."""


class Ownership:
    """A lock on a small file beside the log, held while the log is open; the system drops it at any kind of death.

    The lock is never taken on the database itself: closing that file anywhere in the process would drop SQLite's
    own locks on it (POSIX fcntl). The file holds the owner's process id and the log's present life.
    """

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self.path = log_path.with_name(log_path.name + ".lock")
        self.life = ""
        """What the last owner called the log's life; "" where there was none."""

    def take(self) -> None:
        """Become the owner. Waits some seconds for another one. Raises `LogOwnedError`, `LogUnavailableError`."""
        folder = self._log_path.parent
        if not folder.is_dir():
            raise LogUnavailableError(
                f"There is no folder {str(folder)!r} for the log. Make it, or change CHANNEL_LOG."
            )
        try:
            self._take()
        except LogOwnedError:
            raise
        except OSError as error:
            raise LogUnavailableError(
                f"{str(folder)!r} can't hold the log ({error.strerror}). Change its owner, or CHANNEL_LOG."
            ) from error

    def note(self, life: str) -> None:
        """Write down who owns the log, and its life. Raises `OSError`."""
        self._file.truncate(0)
        self._file.write(f"{os.getpid()} {life}\n")
        self._file.flush()

    def release(self) -> None:
        """Let the next owner in."""
        self._file.close()

    def _take(self) -> None:
        self._file = self.path.open("a+", encoding="ascii")
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.05)  # flock has no timeout of its own
                    continue
                owner, _ = self._read()
                self.release()
                raise LogOwnedError(
                    f"The log {str(self._log_path)!r} is in use by the channel with process id {owner or 'unknown'}. "
                    "One process owns an SQLite log: stop that one first."
                ) from None
        _, self.life = self._read()
        try:
            self.note(self.life)
        except OSError:
            self.release()
            raise

    def _read(self) -> tuple[str, str]:
        self._file.seek(0)
        owner, _, life = self._file.read(200).strip().partition(" ")
        return owner, life
