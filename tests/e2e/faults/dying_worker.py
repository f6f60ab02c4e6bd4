"""The worker, killed by itself at a named point: `python -m tests.e2e.faults.dying_worker POINT BATCH`.

What ships has no hooks for this: Django's own cursor and connection are wrapped here, before the command runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django
from django.core.management import execute_from_command_line
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

__all__ = ["POINTS", "main"]

POINTS = ("after-read", "after-insert", "before-commit", "after-commit")


class Fuse:
    """Follows the transactions that record a batch, and ends the process in the one that it was set for."""

    def __init__(self, point: str, batch: int) -> None:
        self._point = point
        self._left = batch
        self._counts = False

    def burn(self, point: str) -> None:
        """Die here, where this is the point and the batch."""
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def executing(self, sql: str) -> None:
        """See a statement before it runs. The rollups follow the rows, so that at theirs the rows are in."""
        if "inlive_banner_rollup" in sql and not self._counts:
            self._counts = True
            self.burn("after-insert")

    def committing(self, commit: Callable[[], None]) -> None:
        """Run a commit, and see whether it is a batch's."""
        counts, self._counts = self._counts, False
        if counts:
            self.burn("before-commit")
        commit()
        if counts:
            self.burn("after-commit")


def main() -> None:
    """Set the fuse and run the command."""
    django.setup()
    from inlive_banner.tail.sink import Sink

    fuse = Fuse(sys.argv[1], int(sys.argv[2]))
    record, commit = Sink.record, BaseDatabaseWrapper.commit
    execute, executemany = CursorWrapper.execute, CursorWrapper.executemany

    def dying_record(self: Sink, *args: Any, **kwargs: Any) -> Any:
        fuse.burn("after-read")
        return record(self, *args, **kwargs)

    def dying_execute(self: CursorWrapper, sql: Any, *args: Any) -> Any:
        fuse.executing(str(sql))
        return execute(self, sql, *args)

    def dying_executemany(self: CursorWrapper, sql: Any, *args: Any) -> Any:
        fuse.executing(str(sql))
        return executemany(self, sql, *args)

    Sink.record = dying_record
    CursorWrapper.execute = dying_execute
    CursorWrapper.executemany = dying_executemany
    BaseDatabaseWrapper.commit = lambda self: fuse.committing(lambda: commit(self))
    execute_from_command_line(["manage.py", "tail_inlive_clicks"])


if __name__ == "__main__":
    main()
