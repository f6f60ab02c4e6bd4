"""One of `manage.py`'s commands with a clock that an administrator sets: `… FILE COMMAND ARGUMENTS`.

FILE holds the seconds by which the clock is wrong just now. Only Python's `time.time` and `time.time_ns` are shifted
(there is no libfaketime here); what counts intervals uses the monotonic clock, which no administrator can set.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from django.core.management import execute_from_command_line

__all__ = ["main"]


def main() -> None:
    """Shift the clock, and run the command."""
    file, right, right_ns = Path(sys.argv[1]), time.time, time.time_ns

    def seconds() -> int:
        return int(file.read_text(encoding="utf-8") or "0")

    time.time = lambda: right() + seconds()
    time.time_ns = lambda: right_ns() + seconds() * 10**9
    execute_from_command_line(["manage.py", *sys.argv[2:]])


if __name__ == "__main__":
    main()
