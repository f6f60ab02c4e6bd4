"""What SQLite and the disk can raise, as the log's own errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inlive_banner.exceptions import LogUnavailableError

__all__ = ["translated"]


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn faults of SQLite and the disk into the log's; let a broken unique constraint pass, for `append`."""
    try:
        yield
    except (sqlite3.IntegrityError, LogUnavailableError):
        raise
    except (sqlite3.Error, OSError) as error:
        raise LogUnavailableError(f"The log {str(path)!r} can't be used now: {error}.") from error
